const { use } = require('./use.cjs');

use().then(console.log);
