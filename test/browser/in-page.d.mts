export function lowestContrast(): number;
export function smallestFont(): number;
export function overflow(): number;
export function chartBars(): { width: number; height: number; room: number }[][];
export function smallestDateGap(): number;
