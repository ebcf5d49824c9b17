// What is loaded where a page is made, and only there: dist/page.js.
export { renderPage } from './report.ts'
export { renderSeriesPage } from './series.ts'
