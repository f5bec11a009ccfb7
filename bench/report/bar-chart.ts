export interface Bar {
  readonly label: string;
  readonly value: number;
  /** Ours stands out among peers. @default true */
  readonly isOurs?: boolean;
}

const barHeight = 22;
const labelWidth = 300;
const barsWidth = 420;

/** A horizontal bar chart as SVG, readable on light and dark backgrounds. */
export function barChart(title: string, bars: readonly Bar[]): string {
  const most = Math.max(...bars.map(({ value }) => value));
  const height = 48 + bars.length * barHeight;
  const lines = bars.map(({ label, value, isOurs = true }, at) => {
    const y = 40 + at * barHeight;
    const width = Math.max(1, (value / most) * barsWidth);
    return [
      `<text x="${labelWidth - 8}" y="${y + 14}" text-anchor="end">${escapeXml(label)}</text>`,
      `<rect x="${labelWidth}" y="${y}" width="${width.toFixed(1)}" height="${barHeight - 6}" rx="2" fill="${isOurs ? '#3b7dd8' : '#8b949e'}"/>`,
      `<text x="${labelWidth + width + 6}" y="${y + 14}">${value < 10 ? value.toFixed(2) : value.toFixed(0)}</text>`,
    ].join('');
  });
  return [
    `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 ${labelWidth + barsWidth + 80} ${height}" font-family="sans-serif" font-size="12" fill="#7d8590">`,
    `<title>${escapeXml(title)}</title>`,
    `<title>${escapeXml(title)}</title>`,
    `<text x="8" y="22" font-size="15">${escapeXml(title)}</text>`,
    ...lines,
    '</svg>',
    '',
  ].join('\n');
}

function escapeXml(text: string): string {
  return text.replaceAll('&', '&amp;').replaceAll('<', '&lt;').replaceAll('>', '&gt;');
}
