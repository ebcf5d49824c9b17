import { LEAST_EVALS } from '../comparison/judgement.ts'
import type { Pair } from '../comparison/pair.ts'
import { subtract } from '../comparison/subtract.ts'
import {
  byKind,
  FEW_LEVELS,
  HARDLY_BEGUN,
  isPruned,
  isRearranged,
  isRescaled,
  isRounded,
  PRUNED,
  replaced,
  wanderers,
} from '../comparison/weights.ts'
import type { Judgement, Layer, RuleResult } from '../report/schema.ts'
import { changedSettings } from '../report/settings.ts'
import { isUpdate, RANDOM_LIKE, whyUnfitted } from '../report/state.ts'
import { median } from '../statistics.ts'
import { foldedIn } from './folded.ts'
import { areNamedAlike, endsOf, isAveraged, isOfNames, ownerOf } from './keys.ts'
import {
  byLayer,
  chanceOf,
  counted,
  digestsThatStayed,
  foundIn,
  LEAST_DISTANCE,
  lostLayers,
  lostStructure,
  type Measurement,
  meanOf,
  misnamed,
  movedElsewhere,
  normChanges,
  ofExchanged,
  ofMeasured,
  ofTails,
  otherKey,
  PLAIN,
  percent,
  power,
  SAME_NORM,
  signed,
  tails,
  tallied,
} from './measurements.ts'
import { ALMOST_ZERO, EXPLODED, explodedTensors, lostParameters, newParameters, zeroedTensors } from './parameters.ts'

/** A rule of ours: what it measures of a model against its baseline, and what is known of its errors. */
export interface BuiltInRule {
  readonly level: RuleResult['level']
  readonly operator: '>' | '<'
  readonly threshold: number
  /** `certain` needs no statistics; `measured` was set on retrained and damaged networks, and judges one architecture alone. */
  readonly kind: 'certain' | 'measured'
  /** It judges each layer by itself, so that no mean has to be there. */
  readonly each?: true
  /** What it measures, for docs/gating.md, in Markdown. */
  readonly what: string
  /** @returns null where there is nothing to measure */
  readonly measure: (pair: Pair, judgement: Judgement) => Measurement | null
}

/** Mean change of log_norm beyond which the tail's shape tells of the scale, too. */
const RESCALED = 0.3
/** Layers without which nothing is usual. */
const LEAST_LAYERS = 4
/** Share of the eigenvalues. */
const LOST_RANK = 0.4
/** Eigenvalues without which a mean over tails is chance: of one layer of 64, seeds are 0.3 apart. */
const LEAST_IN_ALL = 100
/** What else a layer has to have done to be newly over-trained: its free alpha alone crosses 2 by chance. */
const HEAVIER = -0.2

/** The rules that hold wherever there is a baseline, in the order in which they are looked at. */
export const BUILT_IN_RULES = {
  'dead-layer': {
    level: 'fail',
    operator: '>',
    threshold: 0,
    kind: 'certain',
    what: 'layers that had a fit in the baseline and are zeros, or next to it, now',
    measure: ({ matched }) =>
      matched.length === 0
        ? null
        : counted(
            matched.filter(({ head, base }) => base.status === 'success' && head.status === 'failed'),
            ({ head }) => whyUnfitted(head),
          ),
  },
  exploded: {
    level: 'fail',
    operator: '>',
    threshold: Math.log10(EXPLODED),
    kind: 'certain',
    what: 'the largest rise of a layer’s log_spectral_norm, to more than any layer of the baseline has: 3 is a λmax of a thousand times the baseline’s. A layer that was next to zero and now is like the others is no explosion; nor is one into which a batch norm that went was folded, with a bias, and no further than a norm can scale; nor is what an adapter adds to a weight, which begins as zeros, up to a λmax of 1000',
    measure: pair => {
      const { matched } = pair
      const folded = foldedIn(pair, Math.log10(EXPLODED))
      const largest = matched.reduce(
        (most, { base }) => Math.max(most, base.log_spectral_norm ?? most),
        Number.NEGATIVE_INFINITY,
      )
      const rises = matched.flatMap(({ head, base }) => {
        const rise = subtract(head.log_spectral_norm ?? null, base.log_spectral_norm ?? null)
        if (rise === null) return []
        // An adapter's checkpoints grow from zeros by any factor: a thousand is more than it adds to any weight.
        const isYoung = isUpdate(head) && head.log_spectral_norm! <= Math.log10(EXPLODED)
        const counts = head.log_spectral_norm! > largest && !folded.has(head) && !isYoung
        return [{ head, rise: counts ? rise : Math.min(rise, 0) }]
      })
      if (rises.length === 0) return null
      const { head, rise } = rises.reduce((most, one) => (one.rise > most.rise ? one : most))
      const reason = `its largest eigenvalue is ${power(rise)} times the baseline’s`
      return { value: rise, layers: rises.length, layer: head.name, reason }
    },
  },
  reshaped: {
    level: 'warn',
    operator: '>',
    threshold: 0,
    kind: 'certain',
    what: 'layers that have another shape under the same name',
    measure: ({ added, removed }, { relation }) => {
      if (relation === 'unrelated') return null
      const before = new Map(removed.map(layer => [layer.name, layer]))
      const reshaped = added.filter(({ name }) => before.has(name)).map(head => ({ head }))
      return counted(reshaped, ({ head }) => `[${before.get(head.name)!.shape}] became [${head.shape}]`)
    },
  },
  'lost-layers': {
    level: 'warn',
    operator: '>',
    threshold: 0,
    kind: 'certain',
    what: 'layers that only the baseline has',
    measure: (pair, { relation }) =>
      relation === 'unrelated' ? null : counted(lostLayers(pair), () => 'only the baseline has it'),
  },
  'new-layers': {
    level: 'warn',
    operator: '>',
    threshold: 0,
    kind: 'certain',
    what: 'layers that only this model has, beside those of the baseline: not copies of others (tied weights), and not averages (`ema.`). Nothing is there to compare them with, and a framework may load them in the place of others',
    measure: ({ head, base, added, removed }, { relation }) => {
      if (relation !== 'same') return null
      const known = new Set([...removed.map(({ name }) => name), ...base!.skipped.map(({ tensor }) => tensor)])
      const stayed = digestsThatStayed({ head, added })
      const isCopy = ({ digest }: Layer) => digest !== undefined && stayed.has(digest)
      const isKnown = (layer: Layer) => known.has(layer.name) || known.has(layer.tensor)
      const came = added.filter(layer => !isKnown(layer) && !isCopy(layer) && !isAveraged(layer))
      return counted(
        came.map(head => ({ head })),
        () => 'the baseline has no such layer',
      )
    },
  },
  unrelated: {
    level: 'warn',
    operator: '>',
    threshold: 0,
    kind: 'certain',
    what: 'layers of a model whose baseline is another architecture, or an adapter where it is none: nothing that compares can judge it',
    measure: ({ head, base }, { relation, why }) => {
      if (base === null) return null
      return relation === 'unrelated' ? { value: head.layers.length, reason: why } : { value: 0, reason: '' }
    },
  },
  resized: {
    level: 'warn',
    operator: '>',
    threshold: 0,
    kind: 'certain',
    what: 'layers of a model of another depth or width, none of which is lost, so that no rule on tails or structure can judge it',
    measure: (pair, { relation }) => {
      const { head, base } = pair
      if (base === null) return null
      const reason = 'of another depth than the baseline: no rule on tails or structure judges it'
      return relation === 'resized' && lostLayers(pair).length === 0
        ? { value: head.layers.length, reason }
        : { value: 0, reason: '' }
    },
  },
  'exchanged-weights': {
    level: 'warn',
    operator: '>',
    threshold: 0,
    kind: 'certain',
    what: 'layers whose weights are those that another layer of the baseline has, byte for byte or in another type: exchanged, copied or renumbered, which no spectrum shows',
    measure: ({ matched, removed }) => {
      if (!matched.some(({ head, base }) => head.digest !== undefined && base.digest !== undefined)) return null
      const owners = new Map([...removed, ...matched.map(({ base }) => base)].map(layer => [layer.digest, layer]))
      const cast = wanderers(matched)
      const ownerOf = (match: Pair['matched'][number]) => owners.get(match.head.digest) ?? cast.get(match)
      const exchanged = matched.filter(match => {
        const { head, base } = match
        const known = head.digest !== undefined && base.digest !== undefined && head.digest !== base.digest
        return known && head.status !== 'failed' && ownerOf(match) !== undefined
      })
      return counted(
        exchanged.map(match => ({ head: match.head, match })),
        ({ match }) => `it has the weights that ${ownerOf(match)!.name} had`,
      )
    },
  },
  'other-state-dict': {
    level: 'warn',
    operator: '>',
    threshold: 0,
    kind: 'certain',
    what: 'layers of a file whose weights were found under another key than those of the baseline: it may hold both. `state-dict` names the one that is meant',
    measure: ({ head, base }) => {
      const [now, before] = [head.source.state_dict, base?.source.state_dict]
      if (now === undefined || before === undefined) return null
      const reason = `the weights were found under ${JSON.stringify(now)}, those of the baseline under ${JSON.stringify(before)}`
      return now === before ? { value: 0, reason: '' } : { value: head.layers.length, reason }
    },
  },
  'other-names': {
    level: 'warn',
    operator: '>',
    threshold: 0,
    kind: 'certain',
    what: 'layers of safetensors whose keys have other prefixes than in the baseline (`module.`, `_orig_mod.`), and layers that came whose key is the end of another’s of their shape, but for averages (`ema.`): a framework that goes by names loads nothing of the former, and either of the latter. So are norms and biases, and those that came under an older name (`gamma`, `beta`) beside the newer. Layers of Keras whose names changed places with others’: it loads by places. `rename` says that it is meant',
    measure: ({ head, base, matched, added, renamed, exchanged }) => {
      if (exchanged) return ofExchanged(exchanged, matched)
      if (base === null || !isOfNames(head) || !isOfNames(base)) return null
      const moved = matched.filter(({ head, base }) => ownerOf(head) !== ownerOf(base) && !renamed?.has(head))
      // A framework that finds another shape says so.
      const shaped = (key: string, { shape }: Layer) => `${shape.join('x')} ${key}`
      const all = added.length > 0 ? head.layers : []
      const ends = new Set(all.flatMap(one => endsOf(one.tensor).map(end => shaped(end, one))))
      const own = new Set(all.map(one => shaped(one.tensor, one)))
      const isTwice = (one: Layer) =>
        ends.has(shaped(one.tensor, one)) || endsOf(one.tensor).some(end => own.has(shaped(end, one)))
      const twice = added.filter(one => !isAveraged(one) && isTwice(one))
      const reasons = new Map<Layer, string>([
        ...moved.map(match => [match.head, otherKey(match)] as const),
        ...twice.map(layer => [layer, 'its key is the end of another, or has another as its end'] as const),
      ])
      return tallied([
        ...[...reasons].map(([{ name }, reason]) => ({ layer: name, reason })),
        ...(renamed ? [] : misnamed({ head, base })),
      ])
    },
  },
  'other-config': {
    level: 'warn',
    operator: '>',
    threshold: 0,
    kind: 'certain',
    what: 'settings of config.json or adapter_config.json beside the weights, of Keras’ own config or of GGUF’s metadata, that are others than the baseline’s, and by which transformers, PEFT, Keras or llama.cpp load other weights or apply them otherwise: the kind of the model, how many layers and heads it has, which layer goes into which, tied embeddings, norms, activations, rotary embeddings, quantisation; or such a config that is gone, or no JSON any more',
    measure: ({ head, base }) => {
      const changed = base === null ? undefined : changedSettings(head, base)
      if (changed === undefined) return null
      const said = (value: string | undefined) => value ?? 'not there'
      const isMethod = ({ name }: (typeof changed)[number]) => name.endsWith('quant_method')
      return tallied(
        [...changed.filter(isMethod), ...changed.filter(one => !isMethod(one))].map(({ name, head, base }) => ({
          layer: name,
          reason: `${said(base)} before, ${said(head)} now`,
        })),
      )
    },
  },
  'rearranged-weights': {
    level: 'warn',
    operator: '>',
    threshold: 0,
    kind: 'certain',
    what: 'layers with the eigenvalues of the baseline and other weights: rows or columns in another order, turned signs, a rotation. A converter may do so; what they compute is another thing, unless the layers around them changed with them',
    measure: ({ matched }) => {
      if (!matched.some(({ head, base }) => head.sketch?.length && base.sketch?.length)) return null
      const isElsewhere = movedElsewhere(matched)
      const rearranged = matched.filter(match => isRearranged(match) && !isElsewhere(match))
      return counted(rearranged, () => 'its eigenvalues are those of the baseline, and its weights are not')
    },
  },
  'rescaled-weights': {
    level: 'warn',
    operator: '>',
    threshold: 0,
    kind: 'certain',
    what: 'layers with the eigenvalues of the baseline times one number, log_norm more than 0.1 away: something multiplied them, which no training does, but weight decay of a layer that learns nothing',
    measure: ({ matched }) => {
      if (!matched.some(({ head, base }) => head.quantiles?.length && base.quantiles?.length)) return null
      return counted(matched.filter(isRescaled), ({ head, base }) => {
        return `its spectrum is the baseline’s, and its log_norm moved by ${signed(head.log_norm! - base.log_norm!)}: its weights were multiplied`
      })
    },
  },
  'zeroed-tensors': {
    level: 'warn',
    operator: '>',
    threshold: 0,
    kind: 'certain',
    what: `biases, norms and other tensors without a spectrum that are all 0, and were not in the baseline, or whose largest magnitude fell below a ${EXPLODED}th (of a single number, which may change its sign, a ${ALMOST_ZERO}th), and below that of any in the baseline. What counts steps is none`,
    measure: pair => foundIn(zeroedTensors(pair)),
  },
  'exploded-tensors': {
    level: 'warn',
    operator: '>',
    threshold: 0,
    kind: 'certain',
    what: `such tensors whose largest magnitude grew more than ${EXPLODED} times, beyond that of any in the baseline, and those that came with one so far beyond all that the baseline has, its layers’ singular values included`,
    measure: pair => foundIn(explodedTensors(pair)),
  },
  'lost-tensors': {
    level: 'warn',
    operator: '>',
    threshold: 0,
    kind: 'certain',
    what: 'such tensors that only the baseline has, of modules whose layers are still there, under whatever name: a framework that goes by names leaves them as they are initialised. Counted are weights, biases and the statistics of batch norms, not other buffers, scales of one number or what is of a loss',
    measure: (pair, { relation }) => {
      if (relation !== 'same' || !areNamedAlike(pair)) return null
      return tallied(lostParameters(pair).map(({ tensor }) => ({ layer: tensor, reason: 'only the baseline has it' })))
    },
  },
  'new-tensors': {
    level: 'warn',
    operator: '>',
    threshold: 0,
    kind: 'certain',
    what: 'such tensors that only this model has, of modules whose layers the baseline has: nothing is there to compare them with. A bias of zeros is none, nor what is there under another name, nor the bias into which a batch norm was folded',
    measure: (pair, { relation }) => {
      if (relation !== 'same' || !areNamedAlike(pair)) return null
      return tallied(newParameters(pair).map(({ tensor }) => ({ layer: tensor, reason: 'the baseline has none' })))
    },
  },
  'lost-structure': {
    level: 'fail',
    operator: '>',
    threshold: 0,
    kind: 'measured',
    each: true,
    what: `layers that look random (S ≤ ${RANDOM_LIKE}) and did not in the baseline, whose spectrum moved by more than ${LEAST_DISTANCE} times what chance does, at the same norm (log_norm within ${SAME_NORM}) or where S was above ${PLAIN}`,
    measure: ({ matched }, judgement) => lostStructure(matched, judgement, true),
  },
  'lost-structure-and-norm': {
    level: 'warn',
    operator: '>',
    threshold: 0,
    kind: 'measured',
    each: true,
    what: 'the same of layers whose norm changed as well: a layer that was initialised anew, or a training with another weight decay',
    measure: ({ matched }, judgement) => lostStructure(matched, judgement, false),
  },
  'lighter-tail': {
    level: 'fail',
    operator: '>',
    threshold: 0.15,
    kind: 'measured',
    what: `mean of ln[(alpha_hill − 1)/(base − 1)] over layers whose base is 2 or more, where the mean log_norm moved by ${RESCALED} at most, and these layers have ${LEAST_IN_ALL} eigenvalues in all`,
    measure: ({ matched }, judgement) => {
      const { from_above, log_norm, judged } = judgement
      const above = ofTails(matched, judgement, 2)
      const evals = above.reduce((sum, { num_evals }) => sum + num_evals, 0)
      return from_above === null || Math.abs(log_norm ?? 0) > RESCALED || evals < LEAST_IN_ALL
        ? null
        : { value: from_above, layers: judged, reason: tails(from_above), chance: chanceOf(above) }
    },
  },
  'slightly-lighter-tail': {
    level: 'warn',
    operator: '>',
    threshold: 0.1,
    kind: 'measured',
    what: 'the same mean over all layers that were judged',
    measure: ({ matched }, judgement) => {
      const { tail_shape, judged } = judgement
      const chance = chanceOf(ofTails(matched, judgement))
      return tail_shape === null ? null : { value: tail_shape, layers: judged, reason: tails(tail_shape), chance }
    },
  },
  'heavier-tail': {
    level: 'warn',
    operator: '<',
    threshold: -0.12,
    kind: 'measured',
    what: 'the same mean: too strong a regularisation and too high a learning rate make tails heavier while accuracy falls',
    measure: ({ matched }, judgement) => {
      const { tail_shape, judged } = judgement
      if (tail_shape === null) return null
      const reason = `${tails(tail_shape)}: more was learned, or weight decay or the learning rate is too high`
      return { value: tail_shape, layers: judged, reason, chance: chanceOf(ofTails(matched, judgement)) }
    },
  },
  'moved-spectrum': {
    level: 'warn',
    operator: '>',
    threshold: 0.02,
    kind: 'measured',
    what: 'mean distance of the quantiles of the normalised spectra, less what chance does, mean 1/√(num_evals·N)',
    measure: (_, { spectrum_distance, spectrum_noise, layers }) =>
      spectrum_distance === null || spectrum_noise === null
        ? null
        : {
            value: spectrum_distance - spectrum_noise,
            layers: layers.length,
            reason: 'the spectra as a whole moved, beyond what retrained seeds do',
          },
  },
  'newly-over-trained': {
    level: 'warn',
    operator: '>',
    threshold: 0,
    kind: 'measured',
    what: `layers whose alpha fell below 2, and whose tail became heavier by ${-HEAVIER} or more, and by more than chance does`,
    measure: ({ matched }, judgement) => {
      if (judgement.tail_shape === null) return null
      const measured = byLayer(judgement)
      const fallen = matched.filter(({ head, base }) => {
        if (isUpdate(head)) return false
        const fitted = head.status === 'success' && base.status === 'success'
        return (
          fitted &&
          base.alpha! >= 2 &&
          head.alpha! < 2 &&
          (measured.get(head)?.change ?? 0) < Math.min(HEAVIER, -chanceOf([head]))
        )
      })
      return counted(
        fallen,
        ({ head, base }) => `alpha fell from ${base.alpha!.toFixed(2)} to ${head.alpha!.toFixed(2)}`,
      )
    },
  },
  'moved-norm': {
    level: 'warn',
    operator: '>',
    threshold: 0.1,
    kind: 'measured',
    what: 'size of the mean change of log_norm',
    measure: (_, { log_norm, layers }) => {
      if (log_norm === null) return null
      const became = log_norm > 0 ? 'larger' : 'smaller'
      const reason = `the weights are ${became}: log_norm moved by ${signed(log_norm)} in the mean`
      return { value: Math.abs(log_norm), layers: layers.length, reason }
    },
  },
  'scattered-norms': {
    level: 'warn',
    operator: '>',
    threshold: 0.3,
    kind: 'measured',
    each: true,
    what: 'mean size of the changes of log_norm, whatever their signs; of networks of few eigenvalues, too',
    measure: ({ matched }) => {
      const [, weights] = byKind(matched)
      const sizes = normChanges(weights).map(({ change }) => Math.abs(change))
      return meanOf(sizes, 'layers became larger or smaller than before, more than training makes them')
    },
  },
  'moved-updates': {
    level: 'warn',
    operator: '>',
    threshold: 2,
    kind: 'measured',
    each: true,
    what: 'mean size of the changes of log_norm of what an adapter adds to weights: 2 are updates ten times as large, or as small. They begin as zeros, and grow by as much from the first steps to the last',
    measure: ({ matched }) => {
      const [updates] = byKind(matched)
      const sizes = normChanges(updates).map(({ change }) => Math.abs(change))
      return meanOf(sizes, 'what the adapter adds is much larger or smaller than before')
    },
  },
  'moved-stable-rank': {
    level: 'warn',
    operator: '>',
    threshold: 0.5,
    kind: 'measured',
    each: true,
    what: `mean size of the changes of ln(stable_rank) of layers of fewer than ${LEAST_EVALS} eigenvalues and of what an adapter adds, where these are most: noise spreads over all directions that an adapter of low rank has, and training over few`,
    measure: ({ matched }, judgement) => {
      const measured = byLayer(judgement)
      const few = matched.filter(({ head }) => ['few-evals', 'update'].includes(measured.get(head)?.note ?? ''))
      if (2 * few.length <= matched.length) return null
      const sizes = few.flatMap(({ head, base }) => {
        const change = Math.log(head.stable_rank! / base.stable_rank!)
        return Number.isFinite(change) ? [Math.abs(change)] : []
      })
      return meanOf(sizes, 'the spectra spread over more directions, or fewer')
    },
  },
  'replaced-layer': {
    level: 'warn',
    operator: '>',
    threshold: 0,
    kind: 'measured',
    each: true,
    what: 'layers whose weights have nothing in common with the baseline’s (a cosine below 0.45), where most layers’ stayed what they are (0.8 and more): initialised anew, noise, or another model’s; and those that point the other way (below −0.6; of fewer than 1,000 elements further, −0.76 of 100). A head that each training begins anew is one of them: `ignore: replaced-layer`. Not those that are only in another order, or another layer’s. Measured on 15 small networks and ten adapters from epoch to epoch, and from the first to the last, none is below 0.55',
    measure: ({ matched }) => {
      if (!matched.some(({ head, base }) => head.sketch?.length && base.sketch?.length)) return null
      const isElsewhere = movedElsewhere(matched)
      const found = replaced(matched).filter(({ match }) => !isRearranged(match) && !isElsewhere(match))
      return tallied(
        found.map(({ match, cosine, usual }) => ({
          layer: match.head.name,
          reason: `its weights have nothing in common with the baseline’s: a cosine of ${cosine.toFixed(2)}, where half of the layers have ${usual.toFixed(2)} and more`,
        })),
      )
    },
  },
  'rescaled-layer': {
    level: 'warn',
    operator: '>',
    threshold: 2,
    kind: 'measured',
    each: true,
    what: `the largest change of a layer’s log_norm beside the median of all layers: 2 are weights ten times as large, or as small, where the others stayed. A layer that was next to zero is none; what an adapter adds is held against the rest of that, which is within 0.8 in 135 pairs of moments`,
    measure: ({ matched }) => {
      const beside = byKind(matched).flatMap(alike => {
        const changes = normChanges(alike)
        if (changes.length < LEAST_LAYERS) return []
        const [usual, norm] = [median(changes.map(({ change }) => change)), median(changes.map(({ base }) => base))]
        return changes
          .filter(({ base }) => base > norm - HARDLY_BEGUN)
          .map(one => ({ ...one, usual, of: changes.length, beside: Math.abs(one.change - usual) }))
      })
      if (beside.length === 0) return null
      const most = beside.reduce((most, one) => (one.beside > most.beside ? one : most))
      const { head, beside: value, change, usual, of } = most
      const reason = `its log_norm moved by ${signed(change)}, where that of most layers moved by ${signed(usual)}`
      return { value, layers: of, layer: head.name, reason }
    },
  },
  'lost-rank': {
    level: 'warn',
    operator: '>',
    threshold: 0,
    kind: 'measured',
    each: true,
    what: `layers whose matrix_rank fell by more than ${LOST_RANK} of their eigenvalues: rows, columns or kernels that became multiples of each other`,
    measure: ({ matched }) => {
      const known = matched.filter(({ head, base }) => head.matrix_rank != null && base.matrix_rank != null)
      if (known.length === 0) return null
      const lost = known.filter(({ head, base }) => {
        return head.status !== 'failed' && base.matrix_rank! - head.matrix_rank! > LOST_RANK * head.num_evals
      })
      return counted(lost, ({ head, base }) => `its rank fell from ${base.matrix_rank} to ${head.matrix_rank}`)
    },
  },
  rounded: {
    level: 'warn',
    operator: '>',
    threshold: 0,
    kind: 'measured',
    each: true,
    what: `layers with ${FEW_LEVELS} distinct values in a row at most, where the baseline has more than twice as many`,
    measure: ({ matched }) =>
      ofMeasured(matched, 'row_levels', isRounded, ({ head, base }) => {
        return `${head.row_levels} distinct values in a row, ${base.row_levels} before: its weights are rounded, which spectra hardly show`
      }),
  },
  pruned: {
    level: 'warn',
    operator: '>',
    threshold: 0,
    kind: 'measured',
    each: true,
    what: `layers whose share of zeros rose by more than ${PRUNED}`,
    measure: ({ matched }) =>
      ofMeasured(matched, 'zeros', isPruned, ({ head, base }) => {
        return `${percent(head.zeros!)} of its weights are 0, ${percent(base.zeros!)} before, which spectra hardly show`
      }),
  },
} as const satisfies Record<string, BuiltInRule>

export type BuiltInName = keyof typeof BUILT_IN_RULES

export const BUILT_IN_NAMES = Object.keys(BUILT_IN_RULES) as BuiltInName[]

/** Rules that hold without a baseline, too, and can be switched off like those. */
const ALWAYS = ['non-finite', 'unread', 'failed', 'lost-models']
/** Stands for all whose thresholds were measured. */
const MEASURED = 'measured'

/** What an option that switches rules off may name. */
export const IGNORABLE: readonly string[] = [...BUILT_IN_NAMES, ...ALWAYS, MEASURED]

/** The rules whose threshold a project may set: that of a certain one is no matter of measurement. */
export function hasOwnThreshold(name: string): name is BuiltInName {
  return (
    Object.hasOwn(BUILT_IN_RULES, name) &&
    BUILT_IN_RULES[name as BuiltInName].kind === 'measured' &&
    BUILT_IN_RULES[name as BuiltInName].threshold !== 0
  )
}

/** The rules that are switched off by these words. */
export function ignoredRules(words: readonly string[] = []): ReadonlySet<string> {
  const measured = BUILT_IN_NAMES.filter(name => BUILT_IN_RULES[name].kind === 'measured')
  return new Set([...words, ...(words.includes(MEASURED) ? measured : [])])
}

/** The rules as a table in Markdown, for docs/gating.md. */
export function builtInTable(): string {
  const rows = BUILT_IN_NAMES.map(name => {
    const { level, operator, threshold, kind, what }: BuiltInRule = BUILT_IN_RULES[name]
    return `| \`${name}\` | ${level} | ${operator} ${threshold} | ${kind} | ${what} |`
  })
  return `${['| rule | level | limit | kind | what it measures |', '| --- | --- | --- | --- | --- |', ...rows].join('\n')}\n`
}
