#!/usr/bin/env node
import process from 'node:process';
import { text } from 'node:stream/consumers';
import { runCommand } from './run-command.js';

process.exitCode = await runCommand({
  args: process.argv.slice(2),
  env: process.env,
  print: (line) => process.stdout.write(`${line}\n`),
  printError: (line) => process.stderr.write(`${line}\n`),
  readInput: () => text(process.stdin),
});
