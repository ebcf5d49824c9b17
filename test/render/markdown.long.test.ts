import { test } from 'vitest'
import { expectLayersFit, expectModelsFit } from '../support/report.ts'

test.each([3000, 30_000])('%d layers fit into a comment, and what is left out is counted', expectLayersFit)
test.each([400, 4000])('%d models with long names fit, whole rows only', expectModelsFit)
