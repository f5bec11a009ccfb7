/**
 * The style of the report's page. Colours come in pairs, for a light and a dark background; both keep a contrast of 4.5
 * for text.
 */
export const usageReportStyle = `
:root{color-scheme:light dark;--back:#f6f7f9;--card:#fff;--line:#dfe3e8;--text:#1d2530;--soft:#5b6675;
--c0:#2f6fd0;--c1:#12926f;--c2:#b4610a;--c3:#8a4fc4;--c4:#c23b5e;--c5:#64707f;--spent:#b4610a;--saved:#12926f}
@media (prefers-color-scheme:dark){:root{--back:#11151b;--card:#1a2029;--line:#303a47;--text:#e8ecf1;--soft:#9daab9;
--c0:#6ea4f5;--c1:#3fc79d;--c2:#eba04f;--c3:#bb8df0;--c4:#f07f9c;--c5:#93a0b0;--spent:#eba04f;--saved:#3fc79d}}
*{box-sizing:border-box}
body{margin:0;background:var(--back);color:var(--text);font:15px/1.5 system-ui,-apple-system,"Segoe UI",Roboto,"DejaVu Sans",sans-serif}
main{max-width:1080px;margin:0 auto;padding:24px 16px}
h1{font-size:24px;line-height:1.25;margin:0}h2{font-size:16px;margin:0 0 12px}
header p,footer p{color:var(--soft);margin:4px 0 16px}footer p{font-size:13px;margin-top:16px}
.tiles{display:grid;grid-template-columns:repeat(auto-fit,minmax(150px,1fr));gap:12px;margin:0 0 16px}
.tile,section{background:var(--card);border:1px solid var(--line);border-radius:8px}
.tile{padding:12px}dt{color:var(--soft);font-size:13px}dd{margin:2px 0 0;font-size:20px;font-weight:600;font-variant-numeric:tabular-nums}
section{padding:16px;margin:0 0 16px;min-width:0}
ol,ul{list-style:none;margin:0;padding:0}
.chart{position:relative;padding-top:20px}.most{position:absolute;top:0;left:0;font-size:12px;color:var(--soft)}
.columns{display:flex;gap:2px;height:180px;border-top:1px dashed var(--line);margin-bottom:22px}
.columns li{flex:1 1 0;min-width:1px;display:flex;flex-direction:column;position:relative;border-bottom:1px solid var(--line)}
.stack{flex:1;display:flex;flex-direction:column-reverse;justify-content:flex-start;max-width:48px;width:100%;margin:0 auto}
.stack i{display:block;min-height:1px}
.columns b{position:absolute;top:100%;left:0;font-size:11px;font-weight:400;color:var(--soft);white-space:nowrap;padding-top:3px}
.legend{display:flex;flex-wrap:wrap;gap:4px 16px;font-size:13px;margin-top:8px}.legend li{display:flex;align-items:center;gap:6px}
.legend i{width:12px;height:12px;border-radius:3px}
.bars li{display:grid;grid-template-columns:auto 1fr minmax(56px,auto);gap:8px;align-items:center;padding:3px 0;font-size:14px}
.track{background:var(--back);border-radius:4px;height:16px}.track i{display:block;height:100%;border-radius:4px}
.value,.number{text-align:right;font-variant-numeric:tabular-nums}
.wide{overflow-x:auto}table{border-collapse:collapse;width:100%;font-size:14px}
th,td{padding:6px 10px 6px 0;border-bottom:1px solid var(--line);text-align:left;white-space:nowrap}th{color:var(--soft);font-weight:500}
th.number,td.number{text-align:right;padding:6px 0 6px 10px}tr:last-child td{border-bottom:0}
.empty{color:var(--soft);margin:0}
.c0{background:var(--c0)}.c1{background:var(--c1)}.c2{background:var(--c2)}.c3{background:var(--c3)}.c4{background:var(--c4)}.c5{background:var(--c5)}
.money0{background:var(--spent)}.money1{background:var(--saved)}
@media print{body{background:#fff}section,.tile{break-inside:avoid}}
`;
