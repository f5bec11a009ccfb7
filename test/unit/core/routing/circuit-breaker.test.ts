import { describe, expect, it } from 'vitest';
import { CircuitBreaker } from '#src/core/routing/circuit-breaker.js';

function setUp() {
  let now = 0;
  const breaker = new CircuitBreaker({ failureThreshold: 3, cooldownMs: 100, now: () => now });
  const fail = (times: number) => {
    for (let count = 0; count < times; count++) breaker.failed();
  };
  return {
    breaker,
    fail,
    advance: (ms: number) => {
      now += ms;
    },
  };
}

describe('CircuitBreaker', () => {
  it('opens after the threshold of failures in a row and says how long it stays so', () => {
    const { breaker, fail, advance } = setUp();
    fail(2);
    expect(breaker.acquire()).toBe(0);
    fail(1);
    expect(breaker.acquire()).toBe(100);
    advance(40);
    expect(breaker.acquire()).toBe(60);
  });

  it('a success in between starts the count again', () => {
    const { breaker, fail } = setUp();
    fail(2);
    breaker.succeeded();
    fail(2);
    expect(breaker.acquire()).toBe(0);
  });

  it('after the cooldown lets a single call through while the others are still refused', () => {
    const { breaker, fail, advance } = setUp();
    fail(3);
    advance(100);
    expect(breaker.acquire()).toBe(0);
    expect(breaker.acquire()).toBeGreaterThan(0);
    breaker.succeeded();
    expect(breaker.acquire()).toBe(0);
    expect(breaker.acquire()).toBe(0);
  });

  it('a failed trial opens it again; one that never reports does not keep it shut for ever', () => {
    const { breaker, fail, advance } = setUp();
    fail(3);
    advance(100);
    breaker.acquire();
    breaker.failed();
    expect(breaker.acquire()).toBe(100);
    advance(100);
    expect(breaker.acquire()).toBe(0);
    advance(100);
    expect(breaker.acquire()).toBe(0);
  });
});
