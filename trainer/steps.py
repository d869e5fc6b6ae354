"""The steps: read this file from top to bottom.

A step draws the micro-batches of this rank, counts what each objective predicts in the batches of
all ranks, adds up the gradients of the summed losses, each divided by its own count, and updates.
Batch s is the same samples and masks on any number of ranks; dropout is keyed by (seed, batch,
micro-batch). The host waits for the device once a step, to know whether loss and norm are finite
before the update.

A rank that is to stop (a signal, or the time limit) computes no further micro-batch. It takes part
in the sums of its batch, and says in them that the batch is void, so that all ranks drop it and the
state before it is saved. Since batches are counted, the resumed run draws the same batch again. A
rank without memory for a micro-batch does the same; then all go on with smaller ones.
"""

from trainer.checkpoint import State
from trainer.fit import TooLargeError
from trainer.gradients import add_up_gradients, count
from trainer.guard import skip, warn_of_no_labels, watch_loss
from trainer.metrics import Meter
from trainer.stop import StopFlag
from trainer.training import Micro, Source, Training
from trainer.update import advance, combine, update


def take_steps(
    training: Training,
    state: State,
    until: int,
    loader: Source[Micro],
    meter: Meter,
    stop: StopFlag,
) -> State:
    """Train from `state` until `until` steps are done or until stopped, and save; return the last
    state. Raises `TooLargeError` where a micro-batch does not fit into the memory."""
    recipe = training.recipe
    saved: State | None = None
    training.display.step(state.step, recipe.steps, None, "")

    while state.step < until and not stop.asked:
        batches = [loader.next() for _ in range(training.share.accumulation)]
        counts = count(training, batches)
        sums = add_up_gradients(training, state, batches, counts, loader, stop)
        totals = combine(training, state, sums, counts, stop.wanted())
        if totals.too_large:
            log_step(training, state, meter)
            raise TooLargeError(state)
        stop.asked = totals.stops > 0
        if totals.is_void:
            break

        warn_of_no_labels(training, totals)
        if not totals.is_finite:
            state = skip(training, state, totals)
            continue
        rate = update(training, state, totals)
        state = advance(state, recipe, totals)
        state = watch_loss(state, totals.loss, recipe.guard, training.folder, training.log)

        meter.add(totals, rate, loader.waited)
        training.display.step(
            state.step, recipe.steps, meter.seconds_left(state.step), meter.figures
        )
        finished = state.step == recipe.steps
        if is_due(state.step, recipe.log_every) or state.step == until:
            log_step(training, state, meter)
        if finished or is_due(state.step, recipe.evaluation.every):
            state = training.validate(state)
            meter.restart(loader.waited)
        is_best = recipe.keep_best and state.best_step == state.step
        if finished or is_due(state.step, recipe.save_every) or is_best or totals.is_old:
            training.save(state)
            saved = state
            meter.restart(loader.waited)

    if stop.asked:
        log_step(training, state, meter)
        if saved != state:
            training.save(state)
    return state


def is_due(step: int, every: int) -> bool:
    """Whether something that happens `every` steps happens after this one; 0 is never."""
    return every > 0 and step % every == 0


def log_step(training: Training, state: State, meter: Meter) -> None:
    """Log the steps since the last line, if there are any."""
    if not meter.steps:
        return
    line = meter.line(state.step, state.batches, training.epochs(state.batches))
    if training.log:
        training.log.write("train", state.step, **vars(line))
