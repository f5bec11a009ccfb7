import { expect, it } from 'vitest';
import { ScanGate } from '#src/vector-stores/local/scan-gate.js';

/** A scan that ends when it is told to. */
function openScan(gate: ScanGate, name: string, events: string[]): () => void {
  let end: () => void = () => undefined;
  const ended = new Promise<void>((resolve) => {
    end = resolve;
  });
  void gate.scan(async () => {
    events.push(`${name} begins`);
    await ended;
    events.push(`${name} ends`);
  });
  return end;
}

const settle = (): Promise<void> => new Promise((resolve) => setImmediate(resolve));

it('lets scans overlap, and a change wait for those before it and hold up those after it', async () => {
  const gate = new ScanGate();
  const events: string[] = [];
  const endFirst = openScan(gate, 'first', events);
  const endSecond = openScan(gate, 'second', events);
  const change = gate.change(() => events.push('change'));
  const endThird = openScan(gate, 'third', events);
  const later = gate.change(() => events.push('later change'));
  await settle();
  expect(events).toEqual(['first begins', 'second begins']);
  endSecond();
  await settle();
  expect(events).not.toContain('change');
  endFirst();
  await change;
  await settle();
  expect(events.slice(2)).toEqual(['second ends', 'first ends', 'change', 'third begins']);
  endThird();
  await later;
  expect(events.slice(-2)).toEqual(['third ends', 'later change']);
});

it('changes at once where no scan runs', () => {
  const gate = new ScanGate();
  const events: string[] = [];
  void gate.change(() => events.push('changed'));
  expect(events).toEqual(['changed']);
});

it('goes on after scans and changes that failed', async () => {
  const gate = new ScanGate();
  const failure = new Error('failed');
  const fail = (): never => {
    throw failure;
  };
  await expect(gate.scan(async () => fail())).rejects.toBe(failure);
  await expect(gate.change(fail)).rejects.toBe(failure);
  const end = openScan(gate, 'scan', []);
  const waiting = gate.change(fail);
  end();
  await expect(waiting).rejects.toBe(failure);
  expect(await gate.change(() => 'fine')).toBe('fine');
});
