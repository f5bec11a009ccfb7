export interface Bar {
  readonly label: string;
  readonly value: number;
  readonly isOurs: boolean;
}

/** A horizontal bar chart as SVG, readable on light and dark pages. */
export function barChart(title: string, bars: readonly Bar[]): string {
  const [labelWidth, barWidth, rowHeight] = [260, 380, 28];
  const largest = Math.max(...bars.map(({ value }) => value), 1);
  const rows = bars.map(({ label, value, isOurs }, index) => {
    const y = 40 + index * rowHeight;
    const width = Math.max(1, (value / largest) * barWidth);
    return [
      `<text x="${labelWidth - 8}" y="${y + 14}" text-anchor="end">${escapeXml(label)}</text>`,
      `<rect x="${labelWidth}" y="${y}" width="${width.toFixed(1)}" height="20" fill="${isOurs ? '#2f81f7' : '#8b949e'}"/>`,
      `<text x="${(labelWidth + width + 6).toFixed(1)}" y="${y + 14}">${Math.round(value).toLocaleString('en')}</text>`,
    ].join('');
  });
  const height = 50 + bars.length * rowHeight;
  return `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 720 ${height}" font-family="sans-serif" font-size="12" fill="#6e7681">
<text x="8" y="20" font-size="14" font-weight="bold">${escapeXml(title)}</text>
${rows.join('\n')}
</svg>
`;
}

function escapeXml(text: string): string {
  return text.replaceAll('&', '&amp;').replaceAll('<', '&lt;');
}
