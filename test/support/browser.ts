import { existsSync } from 'node:fs'
import type { Browser, BrowserContextOptions, Page } from 'playwright-core'
import { chromium } from 'playwright-core'

/** Where Chromium may be: it is not among the packages. */
const PLACES = [
  process.env.CHROMIUM ?? '',
  '/usr/bin/chromium',
  '/usr/bin/chromium-browser',
  '/usr/bin/google-chrome',
  '/Applications/Google Chrome.app/Contents/MacOS/Google Chrome',
]
const executablePath = PLACES.find(place => place !== '' && existsSync(place))

/** Why nothing can be opened; empty where it can. */
export const noBrowser = executablePath ? '' : 'no Chromium was found: install it, or name it in CHROMIUM'

export function launch(): Promise<Browser> {
  return chromium.launch({ executablePath: executablePath!, args: ['--no-sandbox', '--disable-gpu'] })
}

/** A page opened from the disk, and all that it asked for, said or threw. */
export async function open(
  browser: Browser,
  file: string,
  options: BrowserContextOptions = {},
): Promise<{ page: Page; problems: string[]; close(): Promise<void> }> {
  const context = await browser.newContext({ viewport: { width: 1280, height: 900 }, ...options })
  const page = await context.newPage()
  const problems: string[] = []
  page.on('console', message => problems.push(`${message.type()}: ${message.text()}`))
  page.on('pageerror', error => problems.push(`thrown: ${error.message}`))
  page.on('dialog', dialog => {
    problems.push(`dialog: ${dialog.message()}`)
    return dialog.dismiss()
  })
  page.on('request', request => {
    const url = request.url()
    // The page itself, its empty icon, and the CSV that it makes.
    if (url !== `file://${file}` && url !== 'data:,' && !url.startsWith('blob:')) problems.push(`request: ${url}`)
  })
  await page.goto(`file://${file}`)
  return { page, problems, close: () => context.close() }
}
