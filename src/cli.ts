import { parseArgs } from 'node:util'
import { FORMAT_NAMES, FORMATS, type FormatName } from './config/formats.ts'
import { type RawSettings, readSettings, resolvePartSettings, type Settings } from './config/settings.ts'
import { OPTION_NAMES, optionOf } from './config/table.ts'
import { explain, systemError, UserError } from './errors.ts'
import type { Source } from './pipeline/analyse.ts'
import { refuseRelative } from './policy/rule.ts'
import type { Report } from './report/schema.ts'
import { VERSION } from './version.ts'
import { nearest } from './words.ts'

/** Exit status: what a shell script can rely on. */
const EXIT = { passed: 0, failed: 1, usage: 2, internal: 3 } as const

/** What makes no sense of a series. */
const NOT_OF_SERIES = [
  ...(['baseline', 'fail-if', 'warn-if', 'metrics-file', 'accuracy', 'shard'] as const),
  ...([
    'merge',
    'describe',
    'top',
    'enforce',
    'no-enforce',
    'fail-on-inconclusive',
    'no-fail-on-inconclusive',
  ] as const),
]

// A reader that has seen enough, such as head, is no fault; a full disk is one.
process.stdout.on('error', (error: NodeJS.ErrnoException) => {
  if (error.code === 'EPIPE') return
  process.stderr.write(`Error: standard output can't be written (${error.code})\n`)
  process.exit(EXIT.usage)
})

process.exitCode = await main(process.argv.slice(2)).catch(async thrown => {
  const error = systemError(thrown) ?? thrown
  const ours = !(error instanceof UserError)
  const said = `${ours ? 'spectral-gate failed by its own fault; please report this: ' : 'Error: '}${explain(error)}`
  const { printable } = await import('./render/escape.ts')
  process.stderr.write(`${said.split('\n').map(printable).join('\n')}\n`)
  return ours ? EXIT.internal : EXIT.usage
})
// Whatever still waits, for a worker or a file: all that was said has been written.
await Promise.all([process.stdout, process.stderr].map(flushed))
process.exit()

function flushed(stream: NodeJS.WriteStream): Promise<void> {
  return new Promise(resolve => stream.write('', () => resolve()))
}

async function main(args: string[]): Promise<number> {
  const { values, positionals } = parse(args)
  if (values.version) return print(`spectral-gate ${VERSION}\n`)
  if (values.help) return print(help())
  if (positionals.length === 0) {
    throw new UserError('No checkpoint was named.', 'Usage: spectral-gate CHECKPOINT… (see --help)')
  }
  if (positionals[0] === 'series') return series(positionals.slice(1), values)
  if (positionals[0] === 'render') return render(positionals.slice(1), values)
  if (positionals[0] === 'calibrate') return calibrate(positionals.slice(1), values)
  if (values.into !== undefined)
    throw new UserError('--into goes with calibrate.', 'Usage: spectral-gate calibrate CHECKPOINT… --into FILE')
  if (values.plots !== undefined)
    throw new UserError('--plots goes with a series.', 'Usage: spectral-gate series FILE…')
  const raw = rawSettings(values)
  const part = values.describe || values.shard
  const settings = part ? resolvePartSettings(raw) : await readSettings(raw)
  if (settings.baseline === undefined)
    refuseRelative(settings.policy.rules, 'Name one: --baseline main.json, or another checkpoint.')
  const outputs = readOutputs(values)
  const detail = readDetail(values)
  const { prepareOutputs, renderOutput, write } = await import('./pipeline/output.ts')
  const { parseSource } = await import('./pipeline/run.ts')
  const sources = await Promise.all(positionals.map(text => parseSource(text, settings.stateDict)))
  const inputs = [...sources.map(({ path }) => path), raw.baseline, raw['base-model'], raw['metrics-file']].flat()
  const onFiles = await prepareOutputs(
    Object.values(outputs).filter(path => path !== '-'),
    inputs.filter(path => path !== undefined),
  )
  if (values.describe) {
    const { json } = outputs
    const text = await describeAll(sources, settings, json !== undefined)
    if (json !== undefined && json !== '-') await write(json, text)
    else print(text)
    return EXIT.passed
  }
  const report = await analyse(positionals, settings, values.merge === true, onFiles)
  await renderOutput(report, outputs, text => print(text), { ...terminal(), ...detail })
  return report.verdict?.fails_job ? EXIT.failed : EXIT.passed
}

/** `series FILE…`: which metric tracks what is known of these models. It describes, and never fails. */
async function series(files: string[], values: Values): Promise<number> {
  if (files.length === 0) throw new UserError('No file was named.', 'Usage: spectral-gate series FILE… (see --help)')
  const unsuited = NOT_OF_SERIES.find(name => values[name] !== undefined)
  if (unsuited)
    throw new UserError(`--${unsuited} does not go with a series.`, 'A series is described, and judges no model.')
  const { plots, ...raw } = rawSettings(values)
  if (plots !== undefined && (plots.length !== 1 || plots[0] === '')) throw new UserError('--plots takes one folder.')
  const settings = await readSettings(raw)
  const outputs = readOutputs(values)
  const { prepareOutputs } = await import('./pipeline/output.ts')
  const { runSeries } = await import('./pipeline/series.ts')
  const { writeSeries } = await import('./pipeline/series-output.ts')
  const { progressBar } = await import('./progress.ts')
  const written = Object.values(outputs).filter(path => path !== '-')
  const onFiles = await prepareOutputs(written, files)
  const { onProgress, stop } = progressBar(process.stderr, process.env)
  const report = await runSeries({ files, settings, onProgress, onFiles }).finally(stop)
  const { width } = terminal()
  await writeSeries(report, { ...outputs, plots: plots?.[0] }, text => print(text), {
    width,
    quiet: values.quiet === true,
  })
  return EXIT.passed
}

/** `render REPORT`: what was found once, in other forms. It judges nothing anew. */
async function render(files: string[], values: Values): Promise<number> {
  const usage = 'Usage: spectral-gate render REPORT --html FILE (see --help)'
  if (files.length !== 1 || files[0] === '') throw new UserError('render takes one report.', usage)
  const suited: readonly string[] = [...FORMAT_NAMES.filter(name => name !== 'json'), 'top', 'quiet']
  const unsuited = Object.keys(values).find(name => !suited.includes(name))
  if (unsuited) throw new UserError(`--${unsuited} does not go with render.`, 'It draws what a report has.')
  const outputs = readOutputs(values)
  const detail = readDetail(values)
  const { prepareOutputs, renderOutput } = await import('./pipeline/output.ts')
  const { readRendered } = await import('./pipeline/rendered.ts')
  await prepareOutputs(
    Object.values(outputs).filter(path => path !== '-'),
    files,
  )
  const found = await readRendered(files[0])
  if (found.kind === 'report') {
    await renderOutput(found.report, outputs, text => print(text), { ...terminal(), ...detail })
  } else {
    const { writeSeries } = await import('./pipeline/series-output.ts')
    await writeSeries(found.report, outputs, text => print(text), { ...terminal(), quiet: detail.quiet ?? false })
  }
  return EXIT.passed
}

/** `calibrate CHECKPOINT…`: thresholds of the built-in rules for one recipe, from models that differ in their seed alone. */
async function calibrate(files: string[], values: Values): Promise<number> {
  if (files.length === 0)
    throw new UserError('No checkpoint was named.', 'Usage: spectral-gate calibrate CHECKPOINT… (see --help)')
  const settings = await readSettings(rawSettings(values))
  const { runCalibration, thresholdLines, writeThresholds } = await import('./pipeline/calibrate.ts')
  const { progressBar } = await import('./progress.ts')
  const { onProgress, stop } = progressBar(process.stderr, process.env)
  const found = await runCalibration({ files, settings, onProgress }).finally(stop)
  const { models, spread } = found
  const said = `${models} models: standard deviation ${spread.tail_shape.toFixed(3)} of the tail's shape, ${spread.log_norm.toFixed(3)} of log_norm`
  print(
    `# ${said}\nthresholds:\n${thresholdLines(found)
      .map(line => `  - ${line}\n`)
      .join('')}`,
  )
  if (typeof values.into === 'string') await writeThresholds(values.into, found)
  return EXIT.passed
}

function readOutputs(values: Values): Partial<Record<FormatName, string>> {
  const names = FORMAT_NAMES.filter(name => values[name] !== undefined)
  const empty = names.find(name => values[name] === '')
  if (empty) throw new UserError(`--${empty} needs the name of a file, or - for standard output.`)
  const toStdout = names.filter(name => values[name] === '-')
  if (toStdout.length > 1) throw new UserError(`--${toStdout.join(' and --')} can't both go to standard output.`)
  const unsuited = values.describe ? names.find(name => name !== 'json') : undefined
  if (unsuited) throw new UserError(`--describe has no --${unsuited}.`, 'It prints a table, or JSON with --json.')
  return Object.fromEntries(names.map(name => [name, String(values[name])]))
}

async function analyse(
  paths: string[],
  settings: Settings,
  merge: boolean,
  onFiles: (files: readonly string[]) => Promise<void>,
): Promise<Report> {
  const { run, runMerge, runPart } = await import('./pipeline/run.ts')
  const { progressBar } = await import('./progress.ts')
  if (merge && settings.shard) throw new UserError('--merge and --shard contradict each other.')
  const { onProgress, stop } = progressBar(process.stderr, process.env)
  try {
    if (settings.shard) return await runPart({ checkpoints: paths, settings, onProgress, onFiles })
    if (!merge) return await run({ checkpoints: paths, settings, onProgress, onFiles })
    const { readPart } = await import('./report/io.ts')
    const parts = []
    for (const path of paths) parts.push({ where: path, report: await readPart(path) })
    return await runMerge({ parts, settings, onProgress, onFiles })
  } finally {
    stop()
  }
}

async function describeAll(sources: readonly Source[], settings: Settings, json: boolean): Promise<string> {
  const { describe } = await import('./pipeline/describe.ts')
  const { renderDescription } = await import('./render/text.ts')
  const { toJson } = await import('./report/io.ts')
  const descriptions = []
  for (const source of sources) descriptions.push(await describe(source, settings.options))
  return json ? `${toJson(descriptions)}\n` : descriptions.map(one => renderDescription(one, terminal())).join('\n')
}

/** Columns of the terminal that gets the text, if one does. */
function terminal(): { width?: number } {
  return process.stdout.isTTY && process.stdout.columns > 0 ? { width: process.stdout.columns } : {}
}

function readDetail({ top, quiet }: Values): { top?: number; quiet?: boolean } {
  if (top !== undefined && !/^[1-9]\d{0,5}$/.test(String(top)))
    throw new UserError(`--top is ${JSON.stringify(top)}, but takes a number of layers from 1 on.`)
  return { ...(top !== undefined && { top: Number(top) }), ...(quiet === true && { quiet }) }
}

type Values = Record<string, string | boolean | string[] | undefined>

function parse(args: string[]): { values: Values; positionals: string[] } {
  const flags = OPTION_NAMES.filter(name => optionOf(name).type === 'flag')
  const known = {
    help: { type: 'boolean', short: 'h' },
    version: { type: 'boolean', short: 'v' },
    describe: { type: 'boolean' },
    merge: { type: 'boolean' },
    quiet: { type: 'boolean', short: 'q' },
    top: { type: 'string' },
    into: { type: 'string' },
    ...Object.fromEntries(FORMAT_NAMES.map(name => [name, { type: 'string' } as const])),
    ...Object.fromEntries(
      flags.flatMap(name => [name, `no-${name}`].map(flag => [flag, { type: 'boolean' } as const])),
    ),
    ...Object.fromEntries(
      OPTION_NAMES.filter(name => !flags.includes(name)).map(name => [
        name,
        { type: 'string', multiple: true } as const,
      ]),
    ),
  } as const satisfies NonNullable<Parameters<typeof parseArgs>[0]>['options']
  try {
    return parseArgs({ args, options: known, allowPositionals: true })
  } catch (cause) {
    const unknown = /^Unknown option '(--?[^']+)'/.exec((cause as Error).message)?.[1]
    if (!unknown) throw new UserError((cause as Error).message, 'See --help.', { cause })
    const near = nearest(unknown.replace(/^-+/, ''), Object.keys(known))
    throw new UserError(`Unknown option ${unknown}.`, near ? `Did you mean --${near}?` : 'See --help.', { cause })
  }
}

function rawSettings(values: Values): RawSettings {
  const raw: RawSettings = {}
  for (const name of OPTION_NAMES) {
    if (optionOf(name).type !== 'flag') raw[name] = values[name] as string[] | undefined
    else if (values[name] && values[`no-${name}`])
      throw new UserError(`--${name} and --no-${name} contradict each other.`)
    else if (values[name] || values[`no-${name}`]) raw[name] = String(values[name] ?? false)
  }
  return raw
}

function help(): string {
  const options = OPTION_NAMES.map((name): [string, string] => {
    const option = optionOf(name)
    const usage = option.type === 'flag' ? `--[no-]${name}` : `--${name} ${option.value}`
    const several = option.type === 'lines' ? ' Repeatable.' : ''
    const fallback = option.default === undefined || option.type === 'flag' ? '' : ` Default ${option.default}.`
    return [usage, `${option.help.replace(' One rule a line.', '')}${several}${fallback}`]
  })
  const outputs = FORMAT_NAMES.map((name): [string, string] => [
    `--${name} FILE`,
    `${FORMATS[name].help} - for standard output.`,
  ])
  return `Spectral Gate ${VERSION}: is this network better or worse than the last one? Spectra of its weights, no test data.

Usage: spectral-gate CHECKPOINT… [options]
       spectral-gate series FILE… [options]
       spectral-gate render REPORT --html FILE
       spectral-gate calibrate CHECKPOINT… [--into FILE]

CHECKPOINT is a safetensors, PyTorch, Keras, ONNX, GGUF or NumPy file, or a Hugging Face folder;
NAME=PATH gives a model a name of its own.

series tells which metric tracks accuracy over models of yours. FILE is a CSV or YAML list with a row a model:
checkpoint, which is a checkpoint or a report, or else columns of metrics; accuracy or error; and where you like
name, group and step. FILEs can also be reports that were made with --accuracy; or, without accuracies, the
checkpoints of one training in their order. It takes --json, --markdown, --csv (the table, to be read again),
--plots, --html, and what changes numbers. See docs/series.md.

render draws an earlier report, or a series, that --json wrote: --html, --markdown, --csv, or the text. See docs/page.md.

calibrate takes four or more checkpoints, or reports, of one recipe that differ in their seed alone, and prints
thresholds of the built-in rules for it; --into writes them into a config file.

${paragraphs([...options, ...outputs, ['--merge', 'Instead of checkpoints, take the parts that --shard wrote: together they are what one run would report.'], ['--describe', 'List layers, shapes and what would be skipped, from headers alone; --json - for tools.'], ['--top N', 'Print only N layers: those to look at first, then those that moved most.'], ['--quiet', 'Print only the verdict.'], ['--version', 'Print the version.'], ['--help', 'Print this.']])}

A rule compares a number with a threshold: alpha > 6 · median(alpha) > 5 · any(alpha) < 1.5 · count(alpha > 6) > 3
  alpha[layer1.0.conv1] > 4 · delta(alpha) > 0.2 · delta(alpha) > 5% · any(delta(alpha)) > 1 · failed > 0 · coverage < 0.9
  mean(alpha where num_evals >= 50) > 6 · any(alpha where name ~ "layer3.*" and type = conv2d) < 1.5
  count(changed where name ~ "backbone.*") > 0
A metric alone is its mean over the layers; delta is head minus baseline. Metrics are WeightWatcher's.

Examples
  spectral-gate model.safetensors
  spectral-gate model.safetensors --fail-if 'alpha > 6' --warn-if 'any(alpha) < 1.5'
  spectral-gate main.pt --json main.json        and later
  spectral-gate head.pt --baseline main.json --fail-if 'delta(alpha) > 0.2'
  spectral-gate series models.csv --plots out
  spectral-gate render report.json --html report.html

Exit status: 0 passed, 1 the gate failed, 2 wrong usage or unreadable input, 3 a fault of our own.
`
}

/** Two columns, the second wrapped to 110 characters. */
function paragraphs(rows: readonly [string, string][]): string {
  const indent = 38
  return rows
    .map(([left, right]) => {
      const lines = ['']
      for (const word of right.split(' ')) {
        const line = lines[lines.length - 1]
        if (line.length + word.length > 110 - indent) lines.push(word)
        else lines[lines.length - 1] = line === '' ? word : `${line} ${word}`
      }
      return `  ${left.padEnd(indent - 2)}${lines.join(`\n${' '.repeat(indent)}`)}`
    })
    .join('\n')
}

function print(text: string): number {
  process.stdout.write(text)
  return EXIT.passed
}
