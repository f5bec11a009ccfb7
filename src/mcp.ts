/** The Model Context Protocol: a server with `search` and `list` over one tenant's tables. */
export { createMcpServer, type McpServerOptions } from './adapters/mcp/server.js';
