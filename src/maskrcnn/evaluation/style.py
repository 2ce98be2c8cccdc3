"""The report's style sheet: system fonts, one accent, light and dark by the reader's setting."""

STYLE = """
:root {
  color-scheme: light dark;
  --page: #fbfbfa; --card: #ffffff; --ink: #1f2328; --quiet: #646c76; --rule: #e3e5e8; --bar: #9cc3e4;
  --line-0: #1f6fb2; --line-1: #c8741a; --line-2: #7a828c; --warn: #fff6e0; --warn-rule: #e5b94a;
}
@media (prefers-color-scheme: dark) {
  :root {
    --page: #15181c; --card: #1c2025; --ink: #e4e7ea; --quiet: #98a1ab; --rule: #30363d; --bar: #3b6d97;
    --line-0: #62aae6; --line-1: #e6a35a; --line-2: #9aa3ad; --warn: #33290f; --warn-rule: #8a6d1f;
  }
}
* { box-sizing: border-box; }
body {
  margin: 0 auto; max-width: 1080px; padding: 40px 24px 64px; background: var(--page); color: var(--ink);
  font: 15px/1.55 system-ui, -apple-system, "Segoe UI", Roboto, "Helvetica Neue", Arial, sans-serif;
}
h1 { font-size: 26px; font-weight: 650; margin: 0 0 4px; letter-spacing: -.01em; overflow-wrap: anywhere; }
h2 { font-size: 18px; font-weight: 620; margin: 44px 0 6px; }
p { margin: 6px 0 14px; max-width: 76ch; }
.quiet, figcaption, th, .plot text { color: var(--quiet); }
.warnings {
  list-style: none; margin: 20px 0 0; padding: 12px 16px; background: var(--warn); border-radius: 8px;
  border-left: 4px solid var(--warn-rule); overflow-wrap: anywhere;
}
.cards { display: grid; grid-template-columns: repeat(auto-fit, minmax(150px, 1fr)); gap: 12px; margin: 24px 0 18px; }
.card, .plot, .pair { background: var(--card); border: 1px solid var(--rule); border-radius: 10px; }
.card { padding: 14px 16px; }
.card b { display: block; font-size: 28px; font-weight: 620; line-height: 1.25; font-variant-numeric: tabular-nums; }
.scroll { overflow-x: auto; margin: 0 0 14px; }
figure label { display: block; cursor: zoom-in; }
figure input:checked + img {
  position: fixed; inset: 0; z-index: 9; width: 100vw; height: 100vh; object-fit: contain; cursor: zoom-out;
  background: rgb(0 0 0 / .88); border-radius: 0;
}
table { border-collapse: collapse; width: 100%; font-variant-numeric: tabular-nums; }
th, td { padding: 6px 10px; text-align: right; border-bottom: 1px solid var(--rule); white-space: nowrap; }
th { font-weight: 500; font-size: 13px; vertical-align: bottom; }
th:first-child, td:first-child {
  text-align: left; padding-left: 2px; max-width: 300px; overflow: hidden; text-overflow: ellipsis;
}
td.bar { position: relative; min-width: 90px; }
td.bar::after {
  content: ""; position: absolute; right: 10px; bottom: 1px; width: calc(.78 * var(--part)); height: 3px;
  background: var(--bar);
}
summary { cursor: pointer; margin: 18px 0 6px; color: var(--quiet); }
.plots { display: grid; grid-template-columns: repeat(auto-fit, minmax(330px, 1fr)); gap: 16px; }
figure { margin: 0; }
.plot { padding: 14px 18px 10px; }
.plot svg { display: block; width: 100%; max-height: 380px; }
.plot text { font-size: 11px; fill: currentColor; }
.grid { stroke: var(--rule); stroke-width: 1; fill: none; }
.line { fill: none; stroke-width: 2; stroke-linejoin: round; }
.line-0 { stroke: var(--line-0); } .line-1 { stroke: var(--line-1); } .line-2 { stroke: var(--line-2); }
.line-2 { stroke-dasharray: 5 4; }
.legend {
  list-style: none; display: flex; flex-wrap: wrap; gap: 2px 18px; margin: 8px 0 4px; padding: 0; font-size: 13px;
}
.key {
  display: inline-block; width: 18px; height: 0; margin-right: 7px; vertical-align: middle; border-top: 2px solid;
}
.key.line-0 { border-color: var(--line-0); } .key.line-1 { border-color: var(--line-1); }
.key.line-2 { border-color: var(--line-2); border-top-style: dashed; }
.pair { padding: 12px; margin: 0 0 14px; }
.pair .pictures { display: grid; grid-template-columns: repeat(auto-fit, minmax(260px, 1fr)); gap: 10px; }
.pair p { margin: 0 2px 3px; font-size: 13px; }
.pair img { width: 100%; display: block; border-radius: 5px; }
.pair figcaption { margin: 8px 2px 0; font-size: 13.5px; overflow-wrap: anywhere; }
.pair figcaption b { color: var(--ink); font-weight: 600; }
h3 { font-size: 14px; font-weight: 600; margin: 18px 0 6px; }
.cases { display: grid; grid-template-columns: repeat(auto-fill, minmax(125px, 1fr)); gap: 10px; }
.case img { width: 100%; aspect-ratio: 1; object-fit: contain; display: block; border-radius: 5px; background: #0002; }
.case figcaption { margin: 4px 2px 0; font-size: 12px; line-height: 1.4; overflow-wrap: anywhere; }
.case figcaption b { color: var(--ink); font-weight: 600; }
.mark {
  display: inline-block; width: 15px; height: 15px; margin-right: 7px; border: 2px solid var(--line-0);
  background: color-mix(in srgb, var(--line-0) 30%, transparent); border-radius: 3px; vertical-align: -3px;
  font: bold 14px/11px sans-serif; text-align: center;
}
.mark.open { background: none; border-style: dashed; }
.mark.true { border-color: #f5e000; background: #555; }
.mark.found { border: 2px solid #3ca5ff; background: #555; }
.mark.better { border: 2px solid #fff; background: #555; box-shadow: 0 0 0 1px #888; }
footer { margin-top: 48px; border-top: 1px solid var(--rule); padding-top: 12px; font-size: 13px; }
@media (max-width: 640px) {
  body { padding: 24px 12px 48px; }
  th, td { padding: 5px 6px; font-size: 13px; white-space: normal; }
  td:first-child { max-width: 150px; overflow-wrap: break-word; }
  td.bar { min-width: 60px; }
  .wide thead { display: none; }
  .wide tr {
    display: grid; grid-template-columns: repeat(auto-fill, minmax(76px, 1fr)); gap: 4px 6px; padding: 8px 0;
    border-bottom: 1px solid var(--rule);
  }
  .wide td { border: 0; padding: 0 2px 2px; text-align: left; overflow-wrap: anywhere; }
  .wide td::before { content: attr(data-head); display: block; font-size: 11px; color: var(--quiet); }
  .wide td:first-child { grid-column: 1 / -1; max-width: none; font-weight: 600; }
  .wide td:first-child::before { content: none; }
  .wide td.bar::after { right: auto; left: 2px; bottom: 0; }
}
@media print { body { max-width: none; padding: 0; } .pair, .plot { break-inside: avoid; } }
"""
