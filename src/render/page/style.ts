/** Colours by their use: on light ground, then on dark. Okabe and Ito's, made darker or lighter until text in them can be read. */
const PALETTE = {
  page: ['#ffffff', '#0d1117'],
  raised: ['#f6f8fa', '#161b22'],
  ink: ['#1f2328', '#e6edf3'],
  soft: ['#57606a', '#9da7b3'],
  line: ['#d0d7de', '#30363d'],
  grid: ['#eaeef2', '#21262d'],
  noise: ['#dfe3e8', '#262c35'],
  link: ['#0759b8', '#6cb6ff'],
  band: ['#e3f3ec', '#11291f'],
  well: ['#0072b2', '#56b4e9'],
  over: ['#a8420a', '#ff9d5c'],
  under: ['#a03a78', '#e58fbd'],
  bad: ['#c01c28', '#ff7b72'],
  base: ['#6e7781', '#8b949e'],
  shuffled: ['#00795a', '#2fd0a2'],
  law: ['#7a5f00', '#f0e442'],
  passed: ['#116329', '#4ac26b'],
  warned: ['#7d4e00', '#e3b341'],
  failed: ['#b31d28', '#ff7b72'],
} as const

function variables(side: 0 | 1): string {
  return Object.entries(PALETTE)
    .map(([name, sides]) => `--${name}:${sides[side]}`)
    .join(';')
}

/** Colours of groups in a series. */
const GROUPS = ['well', 'over', 'shuffled', 'under', 'law', 'base'] as const

/** The page's one style sheet. */
export const STYLE = `
:root{color-scheme:light;${variables(0)}}
@media screen and (prefers-color-scheme:dark){:root:not([data-theme=light]){color-scheme:dark;${variables(1)}}}
:root[data-theme=dark]{color-scheme:dark;${variables(1)}}
*{box-sizing:border-box}
html{scroll-padding-top:3.5rem}
body{margin:0;background:var(--page);color:var(--ink);font:15px/1.5 system-ui,-apple-system,"Segoe UI",sans-serif;-webkit-text-size-adjust:100%}
main,header.top>div,footer{max-width:1120px;margin:0 auto;padding:0 20px}
a{color:var(--link)}
h1{font-size:1.5rem;line-height:1.3;margin:0;font-weight:650;overflow-wrap:anywhere}
h1.long{font-size:1.12rem;line-height:1.45;max-width:90ch}
h2{font-size:1.25rem;margin:2.4rem 0 .6rem;padding-top:.8rem;border-top:1px solid var(--line);overflow-wrap:anywhere}
h3{font-size:1rem;margin:0;overflow-wrap:anywhere}
p{margin:.5rem 0;max-width:76ch;overflow-wrap:anywhere}
code{font:.92em ui-monospace,SFMono-Regular,Consolas,monospace;overflow-wrap:anywhere}
pre{background:var(--raised);padding:.7rem;overflow:auto}
.note{border-left:3px solid var(--line);padding-left:.8rem;color:var(--soft)}
header.top{border-bottom:1px solid var(--line);background:var(--raised);border-top:6px solid var(--soft)}
header.top>div{padding-top:1.2rem;padding-bottom:1.1rem}
header.passed,header.accepted{border-top-color:var(--passed)}
header.warned,header.inconclusive{border-top-color:var(--warned)}
header.failed{border-top-color:var(--failed)}
.verdict{font-weight:700;text-transform:uppercase;letter-spacing:.05em;font-size:.85rem;margin:0 0 .2rem}
.passed>div>.verdict,.accepted>div>.verdict{color:var(--passed)}.warned>div>.verdict,.inconclusive>div>.verdict{color:var(--warned)}.failed>div>.verdict{color:var(--failed)}
.meta,footer{color:var(--soft);font-size:.88rem}
nav{position:sticky;top:0;z-index:3;background:var(--page);border-bottom:1px solid var(--line)}
nav>div{max-width:1120px;margin:0 auto;padding:0 20px;display:flex;gap:1.1rem;align-items:center;overflow-x:auto;white-space:nowrap}
nav a{padding:.6rem 0;text-decoration:none}nav a:hover{text-decoration:underline}
nav button{margin-left:auto}
.skip{position:absolute;left:-999px}.skip:focus{left:8px;top:8px;background:var(--page);padding:.4rem;z-index:9}
button,input,select{font:inherit;color:var(--ink);background:var(--page);border:1px solid var(--base);border-radius:6px;padding:.28rem .6rem}
button{cursor:pointer}button:hover{background:var(--raised)}
:focus-visible{outline:2px solid var(--link);outline-offset:2px}
section:first-child h2{border-top:0;margin-top:.8rem}
.word.passed{color:var(--passed)}.word.warned{color:var(--warned)}.word.failed{color:var(--failed)}
td:first-child:not(.n):not([colspan]){min-width:0}td:first-child:has(code){min-width:10rem}
figure{margin:1rem 0;min-width:0}
figcaption p{color:var(--soft);font-size:.9rem;margin:.1rem 0 .4rem}
svg{display:block;width:100%;height:auto}
.scroll{overflow-x:auto;max-width:100%;margin:.5rem 0 1rem}figure .scroll{margin:0}
.wide .scroll svg{min-width:640px}
.grid3{display:grid;grid-template-columns:repeat(auto-fit,minmax(min(320px,100%),1fr));gap:0 28px}
.grid-tiny{display:grid;grid-template-columns:repeat(auto-fit,minmax(220px,1fr));gap:0 20px}
.legend{list-style:none;display:flex;flex-wrap:wrap;gap:.1rem 1.1rem;padding:0;margin:.3rem 0;font-size:.86rem;color:var(--soft)}
.legend li{display:flex;gap:.4rem;align-items:center}.legend svg{width:16px;min-width:16px;height:16px}
text{fill:var(--ink);font-family:system-ui,-apple-system,"Segoe UI",sans-serif}
.tick{font-size:11px;fill:var(--soft)}.name{font-size:12.5px}
.grid{stroke:var(--grid)}.axis,.notch{stroke:var(--base);fill:none}.zero{stroke:var(--base)}.equal{stroke:var(--base);stroke-dasharray:5 4}
.band{fill:var(--band);stroke:none}.noise,.noise path{fill:var(--noise);stroke:none}
.s-well{fill:var(--well);stroke:var(--well)}.s-over{fill:var(--over);stroke:var(--over)}.s-under{fill:var(--under);stroke:var(--under)}
.s-unfitted{fill:none;stroke:var(--bad);stroke-width:2}.s-base{fill:var(--page);stroke:var(--base);stroke-width:1.4}
.s-judged{fill:var(--well);stroke:var(--well)}.s-random{fill:var(--page);stroke:var(--well);stroke-width:1.4}.s-left{fill:var(--page);stroke:var(--base)}
.error{stroke-width:1.2;stroke-opacity:.55;fill:none}
.thread{fill:none;stroke-width:1;stroke-opacity:.55}.thread.s-head{stroke:var(--well)}.thread.s-base{stroke-dasharray:3 3}.thread.median{stroke-width:2.2;stroke-opacity:1}.error.faint{stroke-opacity:.22}
.head-area,.head-area path{fill:var(--well);fill-opacity:.32;stroke:var(--well);stroke-width:1}
.base-line,.base-line path{fill:none;stroke:var(--base);stroke-width:1.4}
.fit,.fit path{fill:none;stroke-width:2.2;stroke:var(--over)}.fit.base,.fit.base path{stroke:var(--base);stroke-dasharray:6 3}
.law,.law path{fill:none;stroke-width:2;stroke:var(--law)}.shuffled,.shuffled path{fill:none;stroke-width:2;stroke-dasharray:8 3;stroke:var(--shuffled)}
.limit{stroke-width:1.2;stroke-dasharray:4 3;fill:none}.limit.head{stroke:var(--over)}.limit.base{stroke:var(--base)}.limit.shuffled{stroke:var(--shuffled)}
text.head{fill:var(--over)}text.base{fill:var(--soft)}text.shuffled{fill:var(--shuffled);stroke:none}
.threshold,.threshold path{fill:none;stroke-width:1.5;stroke-dasharray:7 4}
.lead{fill:none;stroke-width:1}
path.v-failed,.v-failed path{stroke:var(--failed)}path.v-warned,.v-warned path{stroke:var(--warned)}text.v-failed{fill:var(--failed)}text.v-warned{fill:var(--warned)}
path.mean,.mean path{stroke:var(--ink);stroke-width:2.2;fill:none}text.mean{fill:var(--ink);font-weight:650}
.trend{fill:none;stroke-width:1.6}.all,.all path{fill:none;stroke:var(--base);stroke-width:1.6;stroke-dasharray:6 4}
${GROUPS.map((colour, i) => `.g${i}{fill:var(--${colour});stroke:var(--${colour})}.trend.g${i}{fill:none}`).join('\n')}
[data-layer]{cursor:pointer}.dot:hover{stroke:var(--ink);stroke-width:2}
#tip{position:fixed;z-index:9;pointer-events:none;background:var(--ink);color:var(--page);padding:.2rem .5rem;border-radius:5px;font-size:.85rem;max-width:min(420px,90vw);overflow-wrap:anywhere}
table{border-collapse:separate;border-spacing:0;font-size:.88rem}
caption{text-align:left;color:var(--soft);padding:.2rem 0}
th,td{padding:.3rem .6rem;text-align:left;border-bottom:1px solid var(--line);vertical-align:top}
thead th,thead td{border-bottom:2px solid var(--line);white-space:nowrap}
th[scope=row]{font-weight:400}
.n{text-align:right;font-variant-numeric:tabular-nums;white-space:nowrap}
td:not(.n):not([colspan]){min-width:6rem;max-width:26rem}.layers td:not(.n):not([colspan]){min-width:12rem;max-width:20rem}
th button{border:0;padding:0;background:none;font-weight:600}th button:hover{text-decoration:underline}
[aria-sort=ascending] button::after{content:" ↑";content:" ↑" / ""}[aria-sort=descending] button::after{content:" ↓";content:" ↓" / ""}
.layers tr[data-row]>th{position:sticky;left:0;background:var(--page);max-width:15rem;min-width:11rem}
.layers>.scroll>table>thead th:first-child{position:sticky;left:0;background:var(--page)}
.layers tr[data-row]>th button{border:0;background:none;padding:0;text-align:left;color:var(--link);display:flex;gap:.35rem}
.layers tr[data-row]>th button::before{content:"▸";content:"▸" / "";color:var(--soft)}.layers button[aria-expanded=true]::before{content:"▾";content:"▾" / ""}
tr.detail>td{background:var(--raised);padding:1rem}
.panel{max-width:min(1000px,calc(100vw - 76px));position:sticky;left:1rem}
.panel>.both{display:grid;grid-template-columns:minmax(0,1.75fr) minmax(300px,1fr);gap:0 24px;align-items:start}
.metrics th[scope=row]{white-space:nowrap}.metrics th,.metrics td{padding:.22rem .45rem}
.panel .metrics{max-height:26rem;overflow:auto}
.tools{display:flex;flex-wrap:wrap;gap:.6rem 1rem;align-items:end;margin:.6rem 0}
.tools label{display:grid;font-size:.82rem;color:var(--soft)}
.tools output{color:var(--soft);font-size:.9rem;padding-bottom:.3rem}
details{margin:.5rem 0}summary{cursor:pointer;color:var(--soft);font-size:.9rem}
dl.words{display:grid;grid-template-columns:max-content 1fr;gap:.15rem 1rem;font-size:.88rem}dl.words dd{margin:0;max-width:80ch}
section{content-visibility:auto;contain-intrinsic-size:auto 1400px}
footer{padding-top:1rem;padding-bottom:2rem;margin-top:2rem;border-top:1px solid var(--line)}
[hidden]{display:none!important}
.script{display:none}.scripted .script{display:flex}.scripted .without{display:none}
@media(max-width:700px){body{font-size:16px}h1{font-size:1.2rem}main,header.top>div,nav>div,footer{padding-left:14px;padding-right:14px}.panel>.both{grid-template-columns:minmax(0,1fr)}.wide .scroll svg{min-width:720px}.panel .scroll svg{min-width:500px}.layers tr[data-row]>th{min-width:8rem;max-width:9.5rem}dl.words{grid-template-columns:1fr}dl.words dd{margin-bottom:.5rem}}
@page{margin:12mm}
@media print{section{content-visibility:visible}:root,:root[data-theme=dark]{color-scheme:light;${variables(0)}}nav,.tools,.scripted .tools,.skip,.behind:not([open]){display:none!important}body{font-size:10pt}main,header.top>div,footer{max-width:none;padding:0}figure,.tiny,tr{break-inside:avoid}h2,h3{break-after:avoid}.scroll,.panel .metrics{overflow:visible;max-height:none}.wide .scroll svg{min-width:0}table{font-size:7.5pt;max-width:100%}th,td{padding:.12rem .25rem}.layers table{font-size:6pt}td:not(.n):not([colspan]){max-width:7cm}.layers thead th,.layers .n{white-space:normal}.layers thead th{overflow-wrap:anywhere}.layers td:not(.n):not([colspan]),.layers tr[data-row]>th{min-width:0;max-width:none}.layers tr[data-row]>th,.panel{position:static}*{print-color-adjust:exact;-webkit-print-color-adjust:exact}}
`
