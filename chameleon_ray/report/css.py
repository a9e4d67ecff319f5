"""The report's style sheet, light and dark."""

CSS = """
:root { color-scheme: light dark; --page:#fcfcfb; --card:#fff; --ink:#1a1a19; --soft:#6b6a65;
  --line:#e4e3df; --best:#2a78d6; --good:#0a7a43; --bad:#c4302b; --waits:#d9d8d3;
  --s0:#2a78d6; --s1:#eb6834; --s2:#1baf7a; --s3:#eda100; --s4:#d55181; --s5:#4a3aa7;
  --s6:#008300; --s7:#8a6d3b; --s8:#5f7389 }
@media (prefers-color-scheme: dark) { :root { --page:#161615; --card:#1f1f1e; --ink:#f0efec;
  --soft:#a3a29b; --line:#373734; --best:#5598e7; --good:#3fbf7f; --bad:#f0706a; --waits:#45443f;
  --s0:#5598e7; --s1:#e5783c; --s2:#2cc08a; --s3:#d9a520; --s4:#e07ba0; --s5:#9085e9;
  --s6:#5cae4f; --s7:#b6955c; --s8:#93a7bd } }
* { box-sizing:border-box }
body { margin:0; background:var(--page); color:var(--ink); font:15px/1.5 system-ui,sans-serif }
main { max-width:1200px; margin:0 auto; padding:32px 24px 64px }
h1 { font-size:15px; font-weight:600; margin:0; color:var(--soft) }
h2 { font-size:18px; margin:44px 0 4px }
p { margin:4px 0 12px; max-width:80ch } .soft, .none { color:var(--soft) }
.hero { font-size:44px; line-height:1.15; font-weight:650; margin:6px 0; letter-spacing:-.02em }
.hero small { font-size:20px; font-weight:400; color:var(--soft); letter-spacing:0 }
.good { color:var(--good) } .bad { color:var(--bad) }
.facts { display:flex; flex-wrap:wrap; gap:8px 40px; margin:20px 0 0 }
.facts dt { color:var(--soft); font-size:13px } .facts dd { margin:0; font-weight:600 }
.scroll { overflow-x:auto; background:var(--card); border:1px solid var(--line); border-radius:8px }
table { border-collapse:collapse; width:100%; font-size:14px }
th { text-align:left; font-weight:500; color:var(--soft); font-size:13px; vertical-align:bottom }
th, td { padding:7px 12px; border-bottom:1px solid var(--line) }
tr:last-child td { border-bottom:0 } td { vertical-align:top }
.num { text-align:right } .num, .share { font-variant-numeric:tabular-nums; white-space:nowrap }
td:last-child { min-width:130px } td code { font-size:13px; overflow-wrap:anywhere }
.layer { min-width:230px; max-width:340px; overflow-wrap:anywhere }
.layer small { display:block; color:var(--soft) }
td.share { padding-right:4px }
.bar { display:inline-block; width:44px; height:8px; margin-right:8px; background:var(--line);
  border-radius:2px }
.bar i { display:block; height:8px; background:var(--best); border-radius:2px }
details summary { cursor:pointer; color:var(--soft); font-size:13px }
details code { white-space:pre-wrap }
.plots { display:grid; grid-template-columns:repeat(auto-fill,minmax(240px,1fr)); gap:12px }
figure { margin:0; padding:10px 12px 4px; background:var(--card); border:1px solid var(--line);
  border-radius:8px } figcaption { font-size:13px; overflow-wrap:anywhere; margin-bottom:4px }
figure b { float:right; margin-left:8px; font-weight:600 }
svg { display:block; width:100% } svg text { font-size:9px; fill:var(--soft) }
svg .grid { stroke:var(--line) } svg .default { stroke:var(--soft); stroke-dasharray:3 3 }
svg .best { fill:none; stroke:var(--best); stroke-width:2 } svg circle { fill:transparent }
svg circle:hover { fill:var(--best); fill-opacity:.35 }
.legend span { display:inline-flex; align-items:center; margin-right:16px; font-size:13px }
.legend i { width:10px; height:10px; border-radius:2px; margin-right:6px }
.lives { display:grid; grid-template-columns:max-content 1fr max-content; gap:6px 14px;
  font-size:13px; align-items:center } .life { display:flex; height:16px; gap:1px }
.life i { display:block } .waits { background:var(--waits) }
.s0 { background:var(--s0) } .s1 { background:var(--s1) } .s2 { background:var(--s2) }
.s3 { background:var(--s3) } .s4 { background:var(--s4) } .s5 { background:var(--s5) }
.s6 { background:var(--s6) } .s7 { background:var(--s7) } .s8 { background:var(--s8) }
pre { background:var(--card); border:1px solid var(--line); border-radius:8px; padding:14px 16px;
  overflow-x:auto; font-size:13px }
.note { margin-top:16px }
.pair { display:grid; grid-template-columns:repeat(auto-fill,minmax(min(440px,100%),1fr)); gap:16px;
  align-items:start }
@media print { figure, tr { break-inside:avoid } }
"""
