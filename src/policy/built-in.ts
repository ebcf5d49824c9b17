import { LEAST_EVALS } from '../comparison/judgement.ts'
import type { Pair } from '../comparison/pair.ts'
import { subtract } from '../comparison/subtract.ts'
import { keptTensors } from '../comparison/tensors.ts'
import {
  byKind,
  FEW_LEVELS,
  isPruned,
  isRearranged,
  isRescaled,
  isRounded,
  PRUNED,
  replaced,
  wanderers,
} from '../comparison/weights.ts'
import { layerKey } from '../report/metrics.ts'
import type { Judgement, Layer, RuleResult, Verdict } from '../report/schema.ts'
import { changedSettings } from '../report/settings.ts'
import { isJudged, isUpdate, RANDOM_LIKE, whyUnfitted } from '../report/state.ts'
import { mean, median } from '../statistics.ts'
import { foldedIn } from './folded.ts'
import { type Earlier, NO_HISTORY } from './history.ts'
import { areNamedAlike, endsOf, isAveraged, isOfNames, moduleOf, OLDER, ownerOf } from './keys.ts'
import {
  ALMOST_ZERO,
  EXPLODED,
  explodedTensors,
  isOfModule,
  lostParameters,
  newParameters,
  zeroedTensors,
} from './parameters.ts'

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

interface Measurement {
  readonly value: number
  /** For people: what was found. */
  readonly reason: string
  readonly layers?: number
  /** The layer behind it, where there is one. */
  readonly layer?: string
  /** What chance does to it at most, where that is known. */
  readonly chance?: number
}

/** Distance of two spectra in units of chance, from which on a loss of structure is believed. */
const LEAST_DISTANCE = 2.8
/** Change of log_norm up to which a layer is the same one at the same scale. */
const SAME_NORM = 0.4
/** Structure so far above chance is lost, whatever the norm did. */
const PLAIN = 10
/** Mean change of log_norm beyond which the tail's shape tells of the scale, too. */
const RESCALED = 0.3
/** Layers without which nothing is usual. */
const LEAST_LAYERS = 4
/** So far below the others in log_norm a layer has hardly begun. */
const NEXT_TO_ZERO = 3
/** Share of the eigenvalues. */
const LOST_RANK = 0.4
/** Eigenvalues without which a mean over tails is chance: of one layer of 64, seeds are 0.3 apart. */
const LEAST_IN_ALL = 100
/**
 * How far seeds move the shape of one layer's tail (root mean square of pairs), times the root of its eigenvalues, where its matrices have
 * 67 columns or more; narrower ones more, in proportion. Measured on linear layers of 64 to 120 and on kernels of 16 and 32 channels.
 */
const SPREAD = 0.6
const NARROW = 40
/** So many times that is what chance does at most: of 168 pairs of four small networks none is beyond. */
const MOST_BY_CHANCE = 2.5
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
    what: 'settings of config.json or adapter_config.json beside the weights that are others than the baseline’s, and by which transformers or PEFT load other weights or apply them otherwise: the kind of the model, how many layers and heads it has, tied embeddings, norms, activations, rotary embeddings, quantisation',
    measure: ({ head, base }) => {
      const changed = base === null ? undefined : changedSettings(head, base)
      if (changed === undefined) return null
      const said = (value: string | undefined) => value ?? 'not there'
      return tallied(
        changed.map(({ name, head, base }) => ({ layer: name, reason: `${said(base)} before, ${said(head)} now` })),
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
      const sizes = normChanges(matched.filter(({ head }) => !isUpdate(head))).map(({ change }) => Math.abs(change))
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
      const sizes = normChanges(matched.filter(({ head }) => isUpdate(head))).map(({ change }) => Math.abs(change))
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
    what: 'layers whose weights have nothing in common with the baseline’s (a cosine below 0.45), where most layers’ stayed what they are (0.8 and more): initialised anew, noise, or another model’s. Not those that are only in another order, or another layer’s. Measured on 15 small networks and ten adapters from epoch to epoch, and from the first to the last, none is below 0.55',
    measure: ({ matched }) => {
      if (!matched.some(({ head, base }) => head.sketch?.length && base.sketch?.length)) return null
      const isElsewhere = movedElsewhere(matched)
      const found = replaced(matched).filter(({ match }) => !isRearranged(match) && !isElsewhere(match))
      return tallied(
        found.map(({ match, cosine, usual }) => ({
          layer: match.head.name,
          reason: `its weights have nothing in common with the baseline’s: a cosine of ${cosine.toFixed(2)}, where that of most layers is ${usual.toFixed(2)}`,
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
          .filter(({ base }) => base > norm - NEXT_TO_ZERO)
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

/** Layers that look random now, and did not: those whose norm stayed, or that had plain structure; or else the others. */
function lostStructure(matched: Pair['matched'], judgement: Judgement, plainly: boolean): Measurement | null {
  const measured = byLayer(judgement)
  if (!judgement.layers.some(({ S, distance }) => S.head !== null && S.base !== null && distance !== null)) return null
  const lost = matched.filter(({ head, base }) => {
    const { S, distance } = measured.get(head) ?? {}
    if (S?.head == null || S.base == null || distance == null) return false
    const moved = Math.sqrt(head.num_evals * head.N) * distance > LEAST_DISTANCE
    const norm = Math.abs(subtract(head.log_norm ?? null, base.log_norm ?? null) ?? Number.POSITIVE_INFINITY)
    const isPlain = norm < SAME_NORM || S.base > PLAIN
    return S.head <= RANDOM_LIKE && S.base > RANDOM_LIKE && moved && isPlain === plainly
  })
  return counted(lost, ({ head, base }) => {
    return `it looks random now: S fell from ${base.S!.toFixed(1)} to ${head.S!.toFixed(1)}`
  })
}

/** Rules that say nothing beside another that fails for the same reason. */
const LESSER: Partial<Record<BuiltInName, BuiltInName>> = {
  'slightly-lighter-tail': 'lighter-tail',
  'scattered-norms': 'moved-norm',
}

/**
 * The built-in rules on one model: those that are violated, and the names of those that hold. Those that were set by measurement
 * judge only models of one architecture, by the shape of their tails.
 */
export function builtInRules(
  pair: Pair,
  ignored: ReadonlySet<string>,
  earlier: Earlier = NO_HISTORY,
  thresholds: Partial<Record<BuiltInName, number>> = {},
): {
  readonly violated: readonly RuleResult[]
  readonly held: readonly BuiltInName[]
  /** What the mean change of the tails' shape was held to. */
  readonly limits: NonNullable<Verdict['tail_limits']>
} {
  const { head, judgement } = pair
  const names = judgement ? BUILT_IN_NAMES.filter(name => !ignored.has(name)) : []
  const prediction = earlier.predict(head.name, 'primary')
  const measured = names.flatMap(name => {
    const rule: BuiltInRule = BUILT_IN_RULES[name]
    const judges = rule.each ? judgement!.relation === 'same' : isOfOneArchitecture(judgement!)
    if (rule.kind === 'measured' && !judges) return []
    const found = rule.measure(pair, judgement!)
    if (!found) return []
    const own = thresholds[name]
    const { threshold, because } =
      own === undefined
        ? adapted(name, rule, found, prediction)
        : { threshold: own, because: 'the threshold is the project’s own' }
    const adaptedRule = { ...rule, threshold }
    const reason = because === '' ? found.reason : `${found.reason}; ${because}`
    const violated = isViolated(adaptedRule, found.value)
    return [{ name, rule: adaptedRule, found: { ...found, reason }, violated }]
  })
  const violated = measured.filter(({ violated }) => violated)
  const spoken = violated.filter(({ name }) => !violated.some(other => other.name === LESSER[name]))
  return {
    violated: spoken.map(({ name, rule, found }) => resultOf(name, rule, found, head)),
    held: measured.filter(({ violated }) => !violated).map(({ name }) => name),
    limits: measured
      .filter(({ name }) => OF_TAILS.has(name))
      .map(({ name, rule: { level, threshold } }) => ({ model: head.name, name, level, threshold })),
  }
}

/** Where alpha_hill is over another share, what is not about tails still judges. */
function isOfOneArchitecture({ primary, relation, hill_share, judged }: Judgement): boolean {
  return primary === 'tail_shape' || (hill_share !== undefined && relation === 'same' && judged > 0)
}

/** What seeds of one network do: 95 % of 950 pairs of five set-ups stay within 0.03 to 0.06, all within 0.12. */
const SEEDS_DO = 'retrained seeds of test networks stay within 0.12'
const OF_TAILS: ReadonlySet<string> = new Set(['lighter-tail', 'slightly-lighter-tail', 'heavier-tail'])

/** What retrained seeds do: no threshold follows a history that is calmer, for successive baselines understate it. */
export const SEEDS = 0.06

/** Thresholds on the shape of the tail follow what the branch's own baselines did, once enough of them are known. */
function adapted(
  name: BuiltInName,
  { threshold }: BuiltInRule,
  { chance = 0 }: Measurement,
  prediction: ReturnType<Earlier['predict']>,
): { readonly threshold: number; readonly because: string } {
  if (!('reach' in prediction)) {
    const most = Math.ceil(100 * chance) / 100
    if (most <= Math.abs(threshold)) return { threshold, because: OF_TAILS.has(name) ? SEEDS_DO : '' }
    const because = `so few eigenvalues move by up to ${most} from seed to seed`
    return { threshold: Math.sign(threshold) * most, because }
  }
  const { mean, reach, changes } = prediction
  const [low, high] = [Math.min(-SEEDS, mean - reach), Math.max(SEEDS, mean + reach)].map(twoDigits)
  const because = `the last ${changes} baselines predict ${signed(mean - reach)} to ${signed(mean + reach)}`
  switch (name) {
    case 'lighter-tail':
      return { threshold: Math.max(threshold, high), because }
    case 'slightly-lighter-tail':
      return { threshold: high, because }
    case 'heavier-tail':
      return { threshold: low, because }
    default:
      return { threshold, because: '' }
  }
}

function twoDigits(value: number): number {
  return Math.round(100 * value) / 100
}

function isViolated({ operator, threshold }: BuiltInRule, value: number): boolean {
  return operator === '>' ? value > threshold : value < threshold
}

function resultOf(
  name: BuiltInName,
  { level, operator, threshold }: BuiltInRule,
  { value, reason, layers, layer }: Measurement,
  { name: model, layers: all }: Pair['head'],
): RuleResult {
  return {
    ...{ rule: `${name} ${operator} ${threshold}`, name, level, builtin: true, model, value, unit: '', threshold },
    ...{ layers: layers ?? all.length, of: all.length, outcome: 'violated', reason, cause: '' },
    ...(layer !== undefined && { layer }),
  }
}

/** Parameters without a spectrum that have another prefix than in the baseline, or came under a second name. */
function misnamed(pair: Pick<Pair, 'head' | 'base'>): Pick<Measurement, 'layer' | 'reason'>[] {
  const moved = keptTensors(pair).filter(({ head, base }) => isOfModule(head) && moduleOf(head) !== moduleOf(base))
  const had = new Set(pair.base?.skipped.map(({ tensor }) => tensor))
  const all = new Set(pair.head.skipped.map(({ tensor }) => tensor))
  const twice = pair.head.skipped.flatMap(({ tensor }) => {
    const [, module, old] = /^(.*\.)(gamma|beta)$/.exec(tensor) ?? []
    const other = old && `${module}${OLDER[old]}`
    return other && all.has(other) && !(had.has(tensor) && had.has(other)) ? [{ tensor, other }] : []
  })
  return [
    ...moved.map(match => ({ layer: match.head.tensor, reason: otherKey(match) })),
    ...twice.map(({ tensor, other }) => ({
      layer: tensor,
      reason: `it is an older name of ${other}, which is there, too`,
    })),
  ]
}

function otherKey({ head, base }: Record<'head' | 'base', { readonly tensor: string }>): string {
  return `its key is ${JSON.stringify(head.tensor)}, ${JSON.stringify(base.tensor)} before`
}

/** Layers of the baseline that went, but those that were tied there to one that stayed. */
function lostLayers({ matched, added, removed }: Pair): { readonly head: Layer }[] {
  const names = new Set(added.map(({ name }) => name))
  const kept = new Set(matched.flatMap(({ base }) => base.digest ?? []))
  return removed
    .filter(({ name, digest }) => !names.has(name) && !(digest !== undefined && kept.has(digest)))
    .map(head => ({ head }))
}

/** Of layers that did not come only now. */
function digestsThatStayed({ head, added }: Pick<Pair, 'head' | 'added'>): Set<string> {
  const came = new Set(added)
  return new Set(head.layers.flatMap(layer => (came.has(layer) ? [] : (layer.digest ?? []))))
}

/** Whether a layer has the weights that one of the baseline had, as far as bytes or sketches tell: `exchanged-weights` says so. */
function movedElsewhere(matched: Pair['matched']): (match: Pair['matched'][number]) => boolean {
  const digests = new Set(matched.map(({ base }) => base.digest))
  const cast = wanderers(matched)
  return match => match.head.digest !== undefined && (digests.has(match.head.digest) || cast.has(match))
}

/** Of what Keras loads by its place: layers, or where there are none other tensors, whose names changed places. */
function ofExchanged(exchanged: NonNullable<Pair['exchanged']>, matched: Pair['matched']): Measurement {
  const layers = new Map(matched.map(({ head }) => [head.tensor, head.name]))
  const found = [...exchanged].filter(([tensor]) => layers.has(tensor))
  const [[tensor, was]] = found.length > 0 ? found : exchanged
  return {
    value: found.length || exchanged.size,
    layer: layers.get(tensor) ?? tensor,
    reason: `it is in the place that ${JSON.stringify(was)} has in the baseline, and Keras loads by places`,
  }
}

/** Layers that are judged by their tails, whose base is this or more. */
function ofTails(matched: Pair['matched'], judgement: Judgement, least = 0): Layer[] {
  const measured = byLayer(judgement)
  return matched.flatMap(({ head }) => {
    const layer = measured.get(head)
    const counts = layer && isJudged(layer) && layer.change !== null && (layer.alpha_hill.base ?? 0) >= least
    return counts ? [head] : []
  })
}

/** What chance does at most to the mean shape of the tails of layers. */
function chanceOf(layers: readonly Layer[]): number {
  const variance = layers.reduce((sum, { M, num_evals }) => {
    const spread = Math.max(SPREAD, NARROW / M)
    return sum + (spread * spread) / num_evals
  }, 0)
  return (MOST_BY_CHANCE * Math.sqrt(variance)) / Math.max(layers.length, 1)
}

/** The mean of what was measured of layers, null where of none. */
function meanOf(sizes: readonly number[], reason: string): Measurement | null {
  return sizes.length === 0 ? null : { value: mean(sizes), layers: sizes.length, reason }
}

/** The changes of log_norm, where both sides have one. */
function normChanges(matched: Pair['matched']): { head: Layer; base: number; change: number }[] {
  return matched.flatMap(({ head, base }) => {
    const change = subtract(head.log_norm ?? null, base.log_norm ?? null)
    return change === null ? [] : [{ head, base: base.log_norm!, change }]
  })
}

/** How many, and the first of them. */
function counted<Match extends { readonly head: Layer }>(
  found: readonly Match[],
  reason: (match: Match) => string,
): Measurement {
  const [first] = found
  return first ? { value: found.length, layer: first.head.name, reason: reason(first) } : { value: 0, reason: '' }
}

/** The same of layers that have a column on both sides; null where none has. */
function ofMeasured(
  matched: Pair['matched'],
  column: 'row_levels' | 'zeros',
  is: (match: Pair['matched'][number]) => boolean,
  reason: (match: Pair['matched'][number]) => string,
): Measurement | null {
  const known = matched.filter(({ head, base }) => head[column] != null && base[column] != null)
  return known.length > 0 ? counted(known.filter(is), reason) : null
}

/** The same of tensors, null where there is none to look at. */
function foundIn(found: readonly Pick<Measurement, 'layer' | 'reason'>[] | null): Measurement | null {
  return found && tallied(found)
}

/** The same of what is no layer. */
function tallied(found: readonly Pick<Measurement, 'layer' | 'reason'>[]): Measurement {
  return { value: found.length, ...(found[0] ?? { reason: '' }) }
}

function byLayer(judgement: Judgement): { get(layer: Layer): Judgement['layers'][number] | undefined } {
  const found = new Map(judgement.layers.map(layer => [layerKey(layer), layer]))
  return { get: layer => found.get(layerKey(layer)) }
}

function tails(change: number): string {
  return `the tails became ${change > 0 ? 'lighter' : 'heavier'} by ${Math.abs(change).toFixed(2)}`
}

function power(log10: number): string {
  return `10^${log10.toFixed(1)}`
}

function percent(share: number): string {
  return `${(100 * share).toFixed(0)} %`
}

function signed(value: number): string {
  return `${value > 0 ? '+' : '−'}${Math.abs(value).toFixed(2)}`
}

/** The rules as a table in Markdown, for docs/gating.md. */
export function builtInTable(): string {
  const rows = BUILT_IN_NAMES.map(name => {
    const { level, operator, threshold, kind, what }: BuiltInRule = BUILT_IN_RULES[name]
    return `| \`${name}\` | ${level} | ${operator} ${threshold} | ${kind} | ${what} |`
  })
  return `${['| rule | level | limit | kind | what it measures |', '| --- | --- | --- | --- | --- |', ...rows].join('\n')}\n`
}
