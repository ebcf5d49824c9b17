import { execFileSync, spawn } from 'node:child_process'
import { accessSync, constants, copyFileSync, cpSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs'
import { delimiter, join } from 'node:path'
import { root } from '../../support/cli.ts'
import { temporaryFolder } from '../../support/folder.ts'
import type { GitHubDouble } from '../github/double.ts'
import type { Ended, JobOptions } from '../github/job.ts'

/** Where `tools.sh` puts what it installs, and then wherever the shell finds programs. */
const FOLDERS = [join(root, '.tools/bin'), ...(process.env.PATH ?? '').split(delimiter)]

/** The path of a program; undefined where it is not installed. */
export function findTool(name: string): string | undefined {
  return FOLDERS.map(folder => join(folder, name)).find(path => {
    try {
      accessSync(path, constants.X_OK)
      return true
    } catch {
      return false
    }
  })
}

const here = join(root, 'test/e2e/workflows')

/** Steps of other publishers that a machine without a network can't fetch, and what runs in their place. */
export const STAND_INS: Record<string, string> = {
  'actions/checkout@08c6903cd8c0fde910a37f88322edcfb5dd907a8': join(here, 'stand-ins/checkout'),
  'actions/setup-python@e797f83bcb11b83ae66e0230d6156d7c80228e7c': join(here, 'stand-ins/setup-python'),
}

export interface WorkflowRun {
  github: GitHubDouble
  act: string
  /** A file of `folder`, by default `examples/workflows`. */
  workflow: string
  folder?: string
  event: JobOptions
  /** What the stand-ins for training and downloading find: `head.safetensors`, `base.safetensors`. */
  standIns: string
  /** Files of the repository. */
  files?: Record<string, string | Buffer>
  secrets?: Record<string, string>
}

/** Runs all jobs of a workflow with act on this machine, without containers, against the double of GitHub. */
export function runWorkflow(run: WorkflowRun): Promise<Ended & { runId: number }> {
  const { github, workflow, folder = 'examples/workflows', files = {}, secrets = {} } = run
  const job = github.job(run.event)
  const path = `.github/workflows/${workflow}`
  job.workflowRun.path = path
  const put = (name: string, content: string | Buffer) => {
    mkdirSync(join(job.workspace, name, '..'), { recursive: true })
    writeFileSync(join(job.workspace, name), content)
  }
  put(path, readFileSync(join(root, folder, workflow), 'utf8'))
  for (const [name, content] of Object.entries(files)) put(name, content)
  const git = (...words: string[]) =>
    execFileSync('git', ['-c', 'user.name=a', '-c', 'user.email=a@b.c', ...words], { cwd: job.workspace })
  git('init', '-q', '-b', 'main')
  git('add', '.')
  git('commit', '-qm', 'all')

  const { env } = job
  const passed = ['GITHUB_API_URL', 'GITHUB_GRAPHQL_URL', 'GITHUB_REF', 'GITHUB_REPOSITORY', 'GITHUB_RUN_ATTEMPT']
  const variables: Record<string, string> = {
    ...Object.fromEntries(
      [...passed, 'GITHUB_RUN_ID', 'GITHUB_SERVER_URL', 'ACTIONS_RESULTS_URL', 'ACTIONS_RUNTIME_TOKEN'].map(name => [
        name,
        env[name]!,
      ]),
    ),
    GITHUB_WORKFLOW_REF: `${github.repository}/${path}@${env.GITHUB_REF}`,
    SHA_REF: env.GITHUB_SHA!,
    STAND_INS: run.standIns,
  }
  const actions = { ...STAND_INS, 'spectral-gate/spectral-gate@v0': actionFolder() }
  const args = [
    ...[run.event.event, '-W', path, '-e', env.GITHUB_EVENT_PATH!, '-P', 'ubuntu-latest=-self-hosted'],
    ...Object.entries(variables).flatMap(([name, value]) => ['--env', `${name}=${value}`]),
    ...Object.entries({ GITHUB_TOKEN: github.token, ...secrets }).flatMap(([name, value]) => [
      '-s',
      `${name}=${value}`,
    ]),
    ...Object.entries(actions).flatMap(([name, folder]) => ['--local-repository', `${name}=${folder}`]),
    ...['--action-offline-mode', '--no-cache-server', '--concurrent-jobs', '1'],
  ]
  const home = temporaryFolder()
  return new Promise((resolve, reject) => {
    const child = spawn(run.act, args, {
      cwd: job.workspace,
      env: { HOME: home, XDG_CACHE_HOME: home, PATH: `${join(here, 'bin')}${delimiter}${process.env.PATH}` },
      stdio: ['ignore', 'pipe', 'pipe'],
      timeout: 120_000,
    })
    const ended = { status: null as number | null, stdout: '', stderr: '', runId: job.workflowRun.id }
    child.stdout.setEncoding('utf8').on('data', text => (ended.stdout += text))
    child.stderr.setEncoding('utf8').on('data', text => (ended.stderr += text))
    child.on('error', reject)
    child.on('close', status => resolve({ ...ended, status }))
  })
}

/** The Action as a user fetches it, without what lies in a working copy beside it. */
function actionFolder(): string {
  const action = temporaryFolder()
  copyFileSync(join(root, 'action.yml'), join(action, 'action.yml'))
  cpSync(join(root, 'dist'), join(action, 'dist'), { recursive: true })
  return action
}
