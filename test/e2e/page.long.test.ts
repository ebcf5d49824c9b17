import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { createRequire } from 'node:module'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { Browser, Page } from 'playwright-core'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { renderPage } from '../../src/render/page/index.ts'
import { lenientReport, type Report } from '../../src/report/schema.ts'
import { launch, noBrowser, open } from '../support/browser.ts'
import { cli } from '../support/cli.ts'
import { REPORTS } from '../support/reports.ts'

const axe = readFileSync(createRequire(import.meta.url).resolve('axe-core/axe.min.js'), 'utf8')

if (noBrowser) console.log(`The page is not opened: ${noBrowser}.`)

describe.skipIf(noBrowser !== '')('in a browser', () => {
  let browser: Browser
  const folder = mkdtempSync(join(tmpdir(), 'spectral-gate-page-'))
  beforeAll(async () => {
    browser = await launch()
  })
  afterAll(async () => {
    await browser?.close()
    rmSync(folder, { recursive: true, force: true })
  })
  const save = async (report: Report, name: string): Promise<string> => {
    const path = join(folder, `${name}.html`)
    writeFileSync(path, await renderPage(report))
    return path
  }
  const names = (page: Page) => page.locator('tr[data-row]:visible > th').allInnerTexts()
  const violations = async (page: Page): Promise<string[]> => {
    const found = (await page.evaluate(`${axe}; axe.run(document, { resultTypes: ['violations'] })`)) as {
      violations: { id: string; nodes: { html: string }[] }[]
    }
    return found.violations.map(({ id, nodes }) => `${id}: ${nodes.map(({ html }) => html.slice(0, 160)).join(' | ')}`)
  }

  test('opened from the disk it asks for nothing; it is sorted, filtered, a layer opened, its CSV saved', async () => {
    const { page, problems, close } = await open(browser, await save(grown(150), 'table'))
    const before = await names(page)
    expect(before).toHaveLength(150)
    const alpha = page.getByRole('button', { name: 'alpha', exact: true })
    await alpha.click()
    expect(await page.locator('th[aria-sort=descending]').innerText()).toBe('alpha')
    const column = async () =>
      (await page.locator('tr[data-row] td:nth-of-type(4)').allInnerTexts()).map(text => Number(text))
    const down = await column()
    expect(down).toEqual([...down].sort((a, b) => b - a))
    await alpha.click()
    expect(await column()).toEqual([...down].reverse().sort((a, b) => a - b))
    await page.getByLabel('Name has').fill('layers.14')
    expect(await names(page)).toHaveLength(11)
    expect(await page.locator('output').innerText()).toBe('11 of 150 layers')
    await page.getByLabel('Show').selectOption('over')
    const few = (await names(page)).length
    expect(few).toBeLessThan(11)
    await page.getByLabel('Show').selectOption('')
    const [download] = await Promise.all([
      page.waitForEvent('download'),
      page.getByRole('button', { name: 'CSV of these' }).click(),
    ])
    const csv = readFileSync(await download.path(), 'utf8')
      .trimEnd()
      .split('\n')
    expect(csv).toHaveLength(12)
    expect(csv[0]).toContain('alpha_base')
    const opener = page.getByRole('button', { name: 'layers.14', exact: true })
    await opener.focus()
    await page.keyboard.press('Enter')
    expect(await opener.getAttribute('aria-expanded')).toBe('true')
    const chart = page.locator('tr.detail svg[role=img]')
    expect(await chart.count()).toBe(1)
    expect(await page.locator('tr.detail path.fit').count()).toBe(2)
    await page.keyboard.press('Enter')
    expect(await chart.isVisible()).toBe(false)
    // A dot leads to its layer, whatever is filtered.
    await page.locator('.wide [data-layer="3"]').last().click()
    expect(await page.locator('tr.detail:visible').count()).toBe(1)
    expect(await names(page)).toHaveLength(150)
    expect(problems).toEqual([])
    await close()
  })

  test.each(['light', 'dark'] as const)(
    '%s, by the system and by its button, without a violation that axe knows',
    async scheme => {
      const { page, problems, close } = await open(browser, await save(grown(30), `theme-${scheme}`), {
        colorScheme: scheme,
      })
      const ground = () => page.evaluate(() => getComputedStyle(document.body).backgroundColor)
      const first = await ground()
      expect(first).toBe(scheme === 'dark' ? 'rgb(13, 17, 23)' : 'rgb(255, 255, 255)')
      for (const button of (await page.locator('tr[data-row] > th button').all()).slice(0, 2)) await button.click()
      for (const details of await page.locator('details').all())
        await details.evaluate(node => node.setAttribute('open', ''))
      expect(await violations(page)).toEqual([])
      await page.getByRole('button', { name: scheme === 'dark' ? 'Light' : 'Dark' }).click()
      expect(await ground()).not.toBe(first)
      expect(await violations(page)).toEqual([])
      expect(problems).toEqual([])
      await close()
    },
  )

  test.each(Object.keys(REPORTS))(
    '%s has no violation that axe knows, on a phone too, and nothing wider than it',
    async name => {
      const path = await save(JSON.parse(JSON.stringify(REPORTS[name])), name)
      const { page, problems, close } = await open(browser, path, { viewport: { width: 390, height: 800 } })
      expect(await violations(page)).toEqual([])
      expect(await page.evaluate(() => document.documentElement.scrollWidth)).toBeLessThanOrEqual(390)
      expect(problems).toEqual([])
      await close()
    },
  )

  test('without script there is the table, and the plots', async () => {
    const { page, close } = await open(browser, await save(grown(12), 'plain'), { javaScriptEnabled: false })
    expect(await page.locator('tr[data-row]').count()).toBe(12)
    expect(await page.locator('figure svg[role=img]').count()).toBeGreaterThanOrEqual(4)
    expect(await page.locator('.without').isVisible()).toBe(true)
    expect(await page.locator('.tools').first().isVisible()).toBe(false)
    await close()
  })

  test('five hundred layers are there within seconds, and sorted and filtered within a blink', async () => {
    const path = await save(grown(500), 'large')
    const start = performance.now()
    const { page, problems, close } = await open(browser, path)
    expect(performance.now() - start).toBeLessThan(10_000)
    const took = await page.evaluate(() => {
      const input = document.querySelector('input')!
      const time = (work: () => void) => {
        const start = performance.now()
        work()
        document.body.getBoundingClientRect()
        return performance.now() - start
      }
      return [
        time(() => document.querySelectorAll<HTMLElement>('thead th button')[4].click()),
        time(() => {
          input.value = '7'
          input.dispatchEvent(new Event('input'))
        }),
        time(() => document.querySelector<HTMLElement>('tr[data-row]:not([hidden]) button')!.click()),
      ]
    })
    for (const milliseconds of took) expect(milliseconds).toBeLessThan(2000)
    expect(problems).toEqual([])
    await close()
  })

  test('whatever stands in a report, no text becomes an element, a script, a style or a request', async () => {
    for (const name of ['full', 'nan', 'accepted', 'incomparable', 'models', 'part', 'gate-change']) {
      const { report, count } = poisoned(JSON.parse(JSON.stringify(REPORTS[name])))
      expect(count).toBeGreaterThan(5)
      const { page, problems, close } = await open(browser, await save(report, `evil-${name}`))
      for (const button of await page.locator('button').all()) if (await button.isVisible()) await button.click()
      const found = await page.evaluate(() => ({
        foreign: document.querySelectorAll('img, iframe, object, embed, b, base, form, foreignObject, marquee').length,
        scripts: document.scripts.length,
        handlers: [...document.querySelectorAll('*')].filter(node =>
          [...node.attributes].some(({ name, value }) => /^on/.test(name) || /^\s*javascript:/i.test(value)),
        ).length,
        links: [...document.links].filter(({ protocol }) => !['https:', 'file:', 'blob:'].includes(protocol)).length,
        ran: 'evil' in window,
      }))
      expect(found).toEqual({ foreign: 0, scripts: 2, handlers: 0, links: 0, ran: false })
      expect(problems).toEqual([])
      await close()
    }
  })

  test('the policy itself lets no foreign script or style in, should one ever get there', async () => {
    const path = await save(JSON.parse(JSON.stringify(REPORTS.full)), 'policy')
    const html = readFileSync(path, 'utf8')
    const evil =
      '<script>window.evil=1</script><style>body{display:none}</style><img src="https://evil.example/x" onerror="window.evil=2">'
    writeFileSync(path, html.replace('<main', `${evil}<main`))
    const { page, problems, close } = await open(browser, path)
    expect(await page.evaluate(() => ['evil' in window, getComputedStyle(document.body).display])).toEqual([
      false,
      'block',
    ])
    expect(problems.filter(problem => /Content Security Policy/.test(problem)).length).toBeGreaterThanOrEqual(3)
    await expect(
      page.evaluate(() => document.body.append(document.createRange().createContextualFragment('<b>x</b>'))),
    ).rejects.toThrow(/Trusted/)
    await close()
  })

  test('a series, and a report that the command line wrote, drawn by render', async () => {
    const rows = Array.from(
      { length: 12 },
      (_, i) => `m${i},${i % 2 ? 'wide' : '<img src=x>'},${80 + i},${6 - i / 4 + (i % 3) / 10}`,
    )
    const [table, json, html] = ['models.csv', 'series.json', 'series.html'].map(file => join(folder, file))
    writeFileSync(table, `name,group,accuracy,alpha\n${rows.join('\n')}\n`)
    expect((await cli('series', table, '--json', json)).status).toBe(0)
    expect((await cli('render', json, '--html', html)).status).toBe(0)
    const { page, problems, close } = await open(browser, html)
    expect(await page.locator('figure .dot').count()).toBe(12)
    expect(await page.locator('img').count()).toBe(0)
    expect(await violations(page)).toEqual([])
    expect(problems).toEqual([])
    await close()
  })
})

/** A report of many layers that moved, beside their baselines' spectra. */
function grown(count: number): Report {
  const report = JSON.parse(JSON.stringify(REPORTS.full)) as Report
  const [model] = report.models
  const [layer] = model.layers
  const counts = Array.from({ length: 30 }, (_, i) => (i < 20 ? 2 + i : 60 - 2 * i))
  const esd = { log10_edges: Array.from({ length: 31 }, (_, i) => -2 + i / 10), counts }
  const layers = Array.from({ length: count }, (_, i) => {
    const alpha = 1.5 + ((i * 37) % 60) / 10
    const warning = alpha < 2 ? ('over-trained' as const) : alpha > 6 ? ('under-trained' as const) : ('' as const)
    return {
      ...layer,
      name: `layers.${i}`,
      tensor: `layers.${i}.weight`,
      alpha,
      sigma: 0.2,
      status: 'success' as const,
      warning,
      esd,
      xmin: 1,
      xmax: 9,
      alpha_hill: 2 + (i % 7) / 5,
      sigma_hill: 0.1,
      S: 1 + (i % 5),
    }
  })
  const [compared] = report.comparison!.models
  const change = { head: 3, base: 2.5, change: 0.5 }
  const changes = layers.map(({ name, shape, alpha }) => ({
    ...compared.layers[0],
    ...{
      name,
      shape,
      status: { head: 'success' as const, base: 'success' as const },
      alpha: { head: alpha, base: 3, change: alpha - 3 },
    },
    base: { esd, xmin: 1.2, xmax: 8, num_pl_spikes: 20 },
  }))
  return {
    ...report,
    models: [{ ...model, layers }],
    verdict: {
      ...report.verdict!,
      tail_limits: [{ model: model.name, name: 'lighter-tail', level: 'fail', threshold: 0.15 }],
    },
    comparison: {
      ...report.comparison!,
      models: [
        {
          ...compared,
          matched: count,
          layers: changes,
          added: [],
          removed: [],
          judgement: {
            ...{ relation: 'same', how: ['retrained'], primary: 'tail_shape', why: 'Same architecture.' },
            ...{ tail_shape: 0.12, tail_shape_median: 0.1, driven_by: 3, from_above: 0.1, judged: count },
            ...{ spectrum_distance: 0.1, spectrum_noise: 0.05, log_norm: 0, weight_distance: 1.2 },
            layers: layers.map(({ name, shape }, i) => ({
              ...{ name, shape, change: ((i % 9) - 4) / 8, distance: 0.1, alpha_hill: change, S: change },
              note: i % 4 === 0 ? ('random-like' as const) : ('' as const),
            })),
          },
        },
      ],
    },
  }
}

const EVIL = [
  '</script><script>window.evil=1</script>',
  '"><img src=x onerror="window.evil=1">',
  '</title></svg></style><style>*{display:none}</style>',
  "' onmouseover='window.evil=1' x='",
  'javascript:window.evil=1',
  '<!-- <b>x</b> ]]> &lt;img src=x&gt; \u2028 \u202e',
  '=cmd|x',
]

/** A report in which every string that may be anything is an attack. */
function poisoned(report: Report): { report: Report; count: number } {
  let count = 0
  const strike = (at: Record<string, unknown>) => {
    for (const [key, value] of Object.entries(at)) {
      if (typeof value === 'object' && value !== null) strike(value as Record<string, unknown>)
      else if (typeof value === 'string') {
        at[key] = EVIL[count % EVIL.length]
        if (lenientReport.safeParse(report).success) count++
        else at[key] = value
      }
    }
  }
  strike(report as unknown as Record<string, unknown>)
  return { report: lenientReport.parse(report) as Report, count }
}
