// Mutated answers of real servers against the gateway provider: npm run fuzz:gateway [-- RUNS [FIRST_SEED]]
import { fuzzGateway } from '../test/helpers/mutated-answers.js';

const [runs = 100_000, firstSeed = 1] = process.argv.slice(2).map(Number);
const rssBefore = process.memoryUsage().rss;
const startedAt = performance.now();
const report = await fuzzGateway(runs, firstSeed, 32);
const seconds = Math.round((performance.now() - startedAt) / 1000);
const { findings, errorCodes, answers, slowestMs, heapGrowthMb } = report;
console.log(
  `${runs} answers in ${seconds} s: ${answers} results, ${runs - answers} errors, slowest ${Math.round(slowestMs)} ms.`,
);
console.log(
  `Heap +${Math.round(heapGrowthMb)} MB, memory of the process +${Math.round((process.memoryUsage().rss - rssBefore) / 2 ** 20)} MB.`,
);
console.log(errorCodes);
for (const finding of findings.slice(0, 20)) console.log(finding);
console.log(`${findings.length} findings`);
process.exit(findings.length === 0 ? 0 : 1);
