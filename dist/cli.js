import { createRequire as __createRequire } from 'node:module'; const require = __createRequire(import.meta.url);
import{OPTIONS,nearest,resolveSettings}from"./chunks/chunk-NGMNDQ54.js";import{VERSION}from"./chunks/chunk-3HWJWVOF.js";import"./chunks/chunk-CVPDWOF6.js";import{UserError,explain}from"./chunks/chunk-JO5R3PT6.js";import"./chunks/chunk-ZAYWLSNV.js";import{parseArgs}from"node:util";var EXIT={passed:0,failed:1,usage:2,internal:3},OUTPUTS={json:"The report, for tools and as a later baseline.",markdown:"The pull-request comment.",csv:"One row a layer."};process.exitCode=await main(process.argv.slice(2)).catch(error=>{let ours=!(error instanceof UserError);return process.stderr.write(`${ours?"spectral-gate failed by its own fault; please report this: ":"Error: "}${explain(error)}
`),ours?EXIT.internal:EXIT.usage});async function main(args){let{values,positionals}=parse(args);if(values.version)return print(`spectral-gate ${VERSION}
`);if(values.help)return print(help());if(positionals.length===0)throw new UserError("No checkpoint was named.","Usage: spectral-gate CHECKPOINT… (see --help)");let settings=resolveSettings(rawSettings(values)),toStdout=Object.keys(OUTPUTS).filter(output=>values[output]==="-");if(toStdout.length>1)throw new UserError(`--${toStdout.join(" and --")} can't both go to standard output.`);let{run}=await import("./chunks/run-7CAGQKLY.js"),{progressBar}=await import("./chunks/progress-YTIQMAJ2.js"),report=await run({checkpoints:positionals,settings,onProgress:progressBar(process.stderr)}),{renderOutput}=await import("./chunks/output-6Q2M5YIN.js"),outputs={json:values.json,markdown:values.markdown,csv:values.csv};return await renderOutput(report,outputs,text=>print(text)),report.verdict?.fails_job?EXIT.failed:EXIT.passed}function parse(args){let names=Object.keys(OPTIONS),flags=names.filter(name=>OPTIONS[name].type==="flag"),known={help:{type:"boolean",short:"h"},version:{type:"boolean",short:"v"},...Object.fromEntries(Object.keys(OUTPUTS).map(name=>[name,{type:"string"}])),...Object.fromEntries(flags.flatMap(name=>[name,`no-${name}`].map(flag=>[flag,{type:"boolean"}]))),...Object.fromEntries(names.filter(name=>!flags.includes(name)).map(name=>[name,{type:"string",multiple:!0}]))};try{return parseArgs({args,options:known,allowPositionals:!0})}catch(cause){let unknown=/^Unknown option '(--?[^']+)'/.exec(cause.message)?.[1];if(!unknown)throw new UserError(cause.message,"See --help.",{cause});let near=nearest(unknown.replace(/^-+/,""),Object.keys(known));throw new UserError(`Unknown option ${unknown}.`,near?`Did you mean --${near}?`:"See --help.",{cause})}}function rawSettings(values){let raw={};for(let name of Object.keys(OPTIONS))if(OPTIONS[name].type!=="flag")raw[name]=values[name];else{if(values[name]&&values[`no-${name}`])throw new UserError(`--${name} and --no-${name} contradict each other.`);(values[name]||values[`no-${name}`])&&(raw[name]=String(values[name]??!1))}return raw}function help(){let options=Object.entries(OPTIONS).map(([name,option])=>{let usage=option.type==="flag"?`--[no-]${name}`:`--${name} ${option.value}`,several=option.type==="lines"?" Repeatable.":"",fallback=option.default===void 0||option.type==="flag"?"":` Default ${option.default}.`;return[usage,`${option.help.replace(" One rule a line.","")}${several}${fallback}`]}),outputs=Object.entries(OUTPUTS).map(([name,text])=>[`--${name} FILE`,`${text} - for standard output.`]);return`Spectral Gate ${VERSION}: is this network better or worse than the last one? Spectra of its weights, no test data.

Usage: spectral-gate CHECKPOINT… [options]

CHECKPOINT is a safetensors file, a Hugging Face folder, or what torch.save wrote (.pt .pth .bin .ckpt);
NAME=PATH gives a model a name of its own.

${paragraphs([...options,...outputs,["--version","Print the version."],["--help","Print this."]])}

A rule compares a number with a threshold: alpha > 6 · median(alpha) > 5 · any(alpha) < 1.5 · count(alpha > 6) > 3
  alpha[layer1.0.conv1] > 4 · delta(alpha) > 0.2 · delta(alpha) > 5% · any(delta(alpha)) > 1 · failed > 0 · coverage < 0.9
A metric alone is its mean over the layers; delta is head minus baseline. Metrics are WeightWatcher's.

Examples
  spectral-gate model.safetensors
  spectral-gate model.safetensors --fail-if 'alpha > 6' --warn-if 'any(alpha) < 1.5'
  spectral-gate main.pt --json main.json        and later
  spectral-gate head.pt --baseline main.json --fail-if 'delta(alpha) > 0.2'

Exit status: 0 passed, 1 the gate failed, 2 wrong usage or unreadable input, 3 a fault of our own.
`}function paragraphs(rows){return rows.map(([left,right])=>{let lines=[""];for(let word of right.split(" ")){let line=lines[lines.length-1];line.length+word.length>72?lines.push(word):lines[lines.length-1]=line===""?word:`${line} ${word}`}return`  ${left.padEnd(36)}${lines.join(`
${" ".repeat(38)}`)}`}).join(`
`)}function print(text){return process.stdout.write(text),EXIT.passed}
