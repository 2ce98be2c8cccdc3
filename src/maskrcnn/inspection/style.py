"""What this page needs beside the report's style sheet."""

INSPECTION_STYLE = """
:root {
  --level-0: #ffb000; --level-1: #fe6100; --level-2: #e8418c; --level-3: #8f78ff; --level-4: #5aa9ff;
  --follow: #35e0c0; --pooled: #ff5fa2; --refined: #ffe14d;
}
.hidden { position: absolute; }
.overview {
  list-style: none; counter-reset: step; display: grid; gap: 8px; margin: 26px 0 0; padding: 0;
  grid-template-columns: repeat(auto-fit, minmax(180px, 1fr));
}
.overview a {
  display: block; height: 100%; padding: 9px 12px; border: 1px solid var(--rule); border-radius: 10px;
  background: var(--card); color: var(--ink); text-decoration: none; font-size: 13.5px;
}
.overview a:hover, .overview a:focus-visible { border-color: var(--line-0); }
.overview b { display: block; font-weight: 600; line-height: 1.3; }
.overview b::before { counter-increment: step; content: counter(step) "  "; color: var(--quiet); font-weight: 500; }
.overview span { color: var(--quiet); font-variant-numeric: tabular-nums; }
section { scroll-margin-top: 12px; }
h2 { display: flex; flex-wrap: wrap; align-items: baseline; gap: 4px 12px; font-size: 20px; margin-top: 60px; }
.number { color: var(--quiet); font-weight: 500; font-variant-numeric: tabular-nums; }
.source { margin-left: auto; font-size: 13px; font-weight: 400; color: var(--quiet); }
.two, .five, .many { display: grid; gap: 14px; margin: 0 0 14px; align-items: start; }
.two { grid-template-columns: repeat(auto-fit, minmax(min(340px, 100%), 1fr)); }
.five { grid-template-columns: repeat(auto-fit, minmax(130px, 1fr)); }
.many { grid-template-columns: repeat(auto-fill, minmax(130px, 1fr)); }
.plate { padding: 8px; background: var(--card); border: 1px solid var(--rule); border-radius: 10px; }
.plate svg, .plate img { display: block; width: 100%; max-height: 720px; border-radius: 5px; }
.two svg { max-height: 480px; }
.facts { list-style: none; margin: 0; padding: 4px 6px; }
.facts li { display: flex; justify-content: space-between; padding: 5px 0; border-bottom: 1px solid var(--rule); }
.facts.columns { display: grid; grid-template-columns: repeat(auto-fill, minmax(250px, 1fr)); column-gap: 32px; }
.facts b { font-variant-numeric: tabular-nums; }
code { white-space: nowrap; }
.small .plate img { max-width: 280px; margin: 0 auto; }
.plate figcaption { margin: 8px 3px 2px; font-size: 13.5px; line-height: 1.45; }
.plate.chosen { border-color: var(--line-0); box-shadow: 0 0 0 1px var(--line-0); }
.plate b { color: var(--ink); font-weight: 600; }
.pixels { image-rendering: pixelated; }
.maps {
  display: grid; grid-template-columns: 132px repeat(5, minmax(70px, 1fr)); gap: 8px; align-items: center;
  overflow-x: auto; font-size: 13px; line-height: 1.45; color: var(--quiet);
}
.maps b { color: var(--ink); font-size: 15px; }
.maps img { display: block; width: 100%; border-radius: 4px; }
.legend b { font-weight: 600; }
.swatch { display: inline-block; width: 12px; height: 12px; margin-right: 5px; border-radius: 3px; }
.stroke { display: inline-block; width: 18px; border-top: 3px solid var(--own); vertical-align: 3px; }
.swatch { background: var(--own); } .box, .dot { stroke: var(--own); }
.level-0 { --own: var(--level-0); } .level-1 { --own: var(--level-1); } .level-2 { --own: var(--level-2); }
.level-3 { --own: var(--level-3); } .level-4 { --own: var(--level-4); }
.follow { --own: var(--follow); } .pooled { --own: var(--pooled); } .refined, .chosen { --own: var(--refined); }
svg path, svg rect { vector-effect: non-scaling-stroke; }
.box { fill: none; stroke-width: 1.5; }
.strong { stroke-width: 2.5; filter: drop-shadow(0 0 1px #000); }
.dashed { stroke-width: 2; stroke-dasharray: 6 4; filter: drop-shadow(0 0 1px #000); }
.dot { fill: none; stroke-linecap: round; stroke-width: 7; }
.cells { fill: none; stroke: #fff; stroke-opacity: .28; stroke-width: 1; }
.bins { fill: none; stroke: var(--follow); stroke-opacity: .8; stroke-width: 1; }
.dot.sample { --own: #fff; stroke-width: 3.5; }
.dot.chosen { stroke-width: 9; } .dot.cell { --own: var(--refined); stroke-width: 4.5; }
.weight { stroke: var(--refined); stroke-width: 1.5; }
.pool { fill: var(--pooled); fill-opacity: .13; stroke: var(--pooled); stroke-opacity: .75; stroke-width: 1; }
.veil { opacity: .78; }
.mask { fill: var(--follow); fill-opacity: .35; stroke: var(--follow); stroke-width: 2; fill-rule: evenodd; }
.spot { fill: transparent; stroke: none; } .spot:hover { stroke: #fff; stroke-width: 2; }
.bars { list-style: none; margin: 0; padding: 6px; font-size: 14px; }
.bars li {
  display: grid; grid-template-columns: minmax(80px, 34%) 1fr 52px; gap: 10px; align-items: center; padding: 3px 0;
}
.bars span { overflow: hidden; text-overflow: ellipsis; white-space: nowrap; }
.bars i { height: 10px; border-radius: 3px; width: var(--part); background: var(--bar); }
.bars b { font-weight: 400; text-align: right; font-variant-numeric: tabular-nums; }
.bars .chosen { font-weight: 600; } .bars .chosen i { --bar: var(--line-0); } .bars .chosen b { font-weight: 600; }
@media print { section { break-inside: avoid; } }
"""
