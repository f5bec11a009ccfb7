CREATE TABLE IF NOT EXISTS integrations (
  id                       SERIAL PRIMARY KEY,
  provider                 VARCHAR(50) NOT NULL,
  type                     VARCHAR(50) NOT NULL,
  username                 VARCHAR,
  password                 VARCHAR,
  base_url                 TEXT,
  base_search              VARCHAR,
  ai_model                 VARCHAR(100),
  ai_model_config          JSONB DEFAULT '{}',
  cost_config              JSONB DEFAULT '{}',
  fallback_integration_id  INTEGER REFERENCES integrations(id),
  logo_filename            VARCHAR(255),
  tenant_id                INTEGER NOT NULL,
  active                   BOOLEAN DEFAULT TRUE,
  created_at               TIMESTAMPTZ DEFAULT NOW(),
  last_updated_at          TIMESTAMPTZ DEFAULT NOW()
);
CREATE INDEX IF NOT EXISTS idx_integrations_tenant_id ON integrations(tenant_id);
CREATE INDEX IF NOT EXISTS idx_integrations_provider  ON integrations(provider);
CREATE INDEX IF NOT EXISTS idx_integrations_type      ON integrations(type);
CREATE TABLE IF NOT EXISTS ai_usage_trackings (
  id                SERIAL PRIMARY KEY,
  tenant_id         INTEGER NOT NULL,
  provider          VARCHAR(50) NOT NULL,
  operation         VARCHAR(50) NOT NULL,
  model_name        VARCHAR(100),
  input_count       INTEGER DEFAULT 0,
  input_tokens      INTEGER DEFAULT 0,
  output_tokens     INTEGER DEFAULT 0,
  total_tokens      INTEGER DEFAULT 0,
  cost              DECIMAL(10,4) DEFAULT 0.0,
  request_metadata  JSONB DEFAULT '{}',
  created_at        TIMESTAMPTZ DEFAULT NOW()
);
CREATE INDEX IF NOT EXISTS idx_ai_usage_trackings_tenant     ON ai_usage_trackings(tenant_id);
CREATE INDEX IF NOT EXISTS idx_ai_usage_trackings_provider   ON ai_usage_trackings(provider);
CREATE INDEX IF NOT EXISTS idx_ai_usage_trackings_operation  ON ai_usage_trackings(operation);
CREATE INDEX IF NOT EXISTS idx_ai_usage_trackings_created_at ON ai_usage_trackings(created_at);
