const webpack = require('webpack');

const output = { path: `${__dirname}/out`, filename: 'webpack.cjs' };
webpack(
  { context: __dirname, mode: 'development', devtool: false, target: 'node20', entry: './run-use.mjs', output },
  (error, stats) => {
    if (error) throw error;
    const { errors } = stats.toJson({ all: false, errors: true });
    for (const { message } of errors) console.error(message);
    process.exitCode = errors.length === 0 ? 0 : 1;
  },
);
