"""Refuse settings that were given and change nothing: what is given is used, or an error says why it is not.

What the files in configs/ set never complains: a default that another setting puts out of use is no mistake.
"""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any

from memhrm.config.settings import refuse
from memhrm.data.arc.rule_settings import ArcRulesSettings
from memhrm.data.arc.settings import ArcSettings
from memhrm.data.episodes.context_settings import ContextSettings
from memhrm.data.episodes.hops_settings import HopsSettings
from memhrm.data.episodes.settings import RecallSettings
from memhrm.data.settings import parse as parse_data
from memhrm.data.text.prose_settings import ProseSettings
from memhrm.data.text.settings import FewShotSettings, IntentSettings, TextSettings
from memhrm.memory.cell_settings import CellSettings
from memhrm.memory.exchange import ExchangeSettings
from memhrm.memory.none import NO_MEMORY
from memhrm.memory.retrieval import RetrievalSettings

if TYPE_CHECKING:
    from memhrm.runs.settings import RunSettings

WITHOUT_VARIANTS = (RecallSettings, ContextSettings, HopsSettings, ArcRulesSettings)
"""Data whose examples have no variants."""

BOUNDS = (
    *("min_clues", "max_clues", "min_guesses", "max_guesses"),
    *("min_walls", "max_walls", "min_length", "unique", "covers"),
)
"""Settings of a data group that bound what is generated."""


@dataclass(frozen=True)
class Rule:
    """Settings that are not used where a condition holds.

    names: dotted; a run need not have them. holds: the condition. beside: what puts them out of use, for the
    message; a template, filled in from `Run`. harmless: values that say what is so anyway, as 0 for a loss.
    """

    names: tuple[str, ...]
    holds: Callable[["Run"], bool]
    beside: str
    harmless: tuple[Any, ...] = ()


class Run:
    """What the rules ask of the settings of a run."""

    def __init__(self, run: "RunSettings"):
        self.run, self.model = run, run.model
        self.halting, self.optim, self.loss = run.halting, run.optim, run.loss
        self.memory: Any = run.memory
        self.data: Any = parse_data(run.data)
        self.episodes = self.data.in_episodes
        place = "path" if run.data["path"] else "train_file"
        self.files = f"data.{place}={run.data[place]}"
        self.remembers = run.memory.module != NO_MEMORY.module
        self.foreign = not run.memory.module.startswith("memhrm.")  # Of what it reads nothing is known.
        self.exchange = isinstance(run.memory, ExchangeSettings) and not self.foreign
        self.cells = isinstance(run.memory, CellSettings) and not self.foreign
        self.replaces = self.exchange and self.memory.placement == "replace"
        self.blocks = self.model.L_layers > 0 or not self.replaces
        self.every_cell = self.cells and self.memory.fewest == self.memory.cells

    @cached_property
    def picks(self) -> bool:
        """Whether the choice of cells changes anything: some are left out, or written less than others."""
        return not self.every_cell or self.memory.written is not None

    @cached_property
    def weighs(self) -> bool:
        """Whether anything depends on how high the cells score, beside the choice of them."""
        m = self.memory
        losses = (self.loss.memory.get(name) for name in ("diverse", "balance", "information", "self_sup"))
        return not m.one_weight or m.straight_through != "none" or any(losses)

    @cached_property
    def scored(self) -> bool:
        """Whether anything depends on the scores of the cells."""
        chosen = {"policy": True, "lowest_loss": True, "topk": self.picks}
        return chosen.get(self.memory.selector, False) or self.weighs

    @cached_property
    def ranks(self) -> bool:
        """Whether the order of the scores is all that counts."""
        m = self.memory
        added = m.score_noise > 0 or m.load_bias > 0 or (m.combine == "logsumexp" and m.projections > 1)
        return m.selector == "topk" and not self.weighs and not added

    @cached_property
    def asks(self) -> bool:
        """Whether anything depends on what the query asks for: the scores, or the CLS it is written to."""
        return self.scored or self.memory.cls == "key"

    @cached_property
    def holds(self) -> bool:
        """Whether an H-step could take other cells, or weights of them, than an earlier one."""
        m, several = self.memory, self.model.H_cycles * self.halting.halt_max_steps > 1
        again = self.episodes or (several and m.hold != "feedback")
        once = m.cls == "key" and m.hold == "example" and several  # Its first H-step alone writes the key.
        moves = self.scored or (m.selector == "random" and self.picks) or once
        return again and moves

    def selects_by(self, selector: str) -> bool:
        """Whether cells are selected like this, as far as is known."""
        return self.cells and self.memory.selector == selector

    @cached_property
    def inner(self) -> int:
        """The inner width of feed-forward nets over channels."""
        return self.model.inner_width()

    @property
    def reads_texts(self) -> bool:
        """Whether the examples are labelled texts."""
        return isinstance(self.data, TextSettings)

    @property
    def reads_prose(self) -> bool:
        """Whether the examples are windows of a text."""
        return isinstance(self.data, ProseSettings)

    @property
    def identifies(self) -> bool:
        """Whether the examples are tasks of ARC with identifiers."""
        return isinstance(self.data, ArcSettings) and not self.data.strict

    @property
    def mixes(self) -> bool:
        """Whether blocks mix tokens by attention."""
        return self.blocks and self.model.mixer == "attention"

    @property
    def attends(self) -> bool:
        """Return whether anything attends."""
        return self.mixes or self.exchange or self.foreign

    @property
    def uses_heads(self) -> bool:
        """Return whether anything has the heads of the model."""
        own = self.exchange and self.memory.num_heads is None
        return self.mixes or own or self.foreign

    @property
    def takes_whole_files(self) -> bool:
        """Return whether all examples of the files are used, so that nothing is drawn."""
        sizes = self.data.train_size, self.data.test_size
        files = self.data.in_files and self.data.own_file is None
        texts = isinstance(self.data, IntentSettings)  # Those that choose a checkpoint are drawn, too.
        drawn = texts and (self.data.draws or self.run.validation_size != 0)
        return files and not (self.episodes or self.data.holdout or drawn) and sizes == (None, None)


RULES = (
    # Losses.
    Rule(("loss.label_smoothing",), lambda r: r.loss.kind != "softmax", "with loss.kind={loss.kind}", (0,)),
    Rule(("loss.class_weights",), lambda r: isinstance(r.data, FewShotSettings),
         "with data={data.name}, where each episode draws the labels", ("none",)),
    Rule(("loss.q_continue", "halting.q_target"), lambda r: r.halting.rule != "q_learning",
         "with halting.rule={halting.rule}", (0,)),
    Rule(("loss.policy", "loss.entropy", "loss.reward", "loss.returns", "loss.discount", "loss.baseline"),
         lambda r: not r.selects_by("policy"), "without memory.selector=policy", (0,)),
    Rule(("loss.imitation",), lambda r: not r.selects_by("lowest_loss"),
         "without memory.selector=lowest_loss", (0,)),
    Rule(("loss.returns", "loss.discount", "loss.baseline"), lambda r: r.loss.memory.get("policy") == 0,
         "with loss.policy=0"),
    Rule(("loss.discount",), lambda r: r.loss.returns == "step", "with loss.returns=step"),
    Rule(("loss.diverse", "loss.balance"), lambda r: r.every_cell,
         "with every cell active: their shares are equal", (0,)),
    Rule(("loss.self_sup",),
         lambda r: r.cells and r.memory.active == 1 and r.memory.reads != "all" and r.memory.gate != "all",
         "with k=1: the best cell is all that is read", (0,)),
    # Halting.
    Rule(("halting.rule", "halting.q_target", "halting.halt_exploration_prob", "halting.threshold",
          "loss.q_continue"), lambda r: r.halting.halt_max_steps == 1,
         "with halting.halt_max_steps=1", (0,)),
    Rule(("halting.threshold",), lambda r: r.halting.rule == "q_learning",
         "with halting.rule={halting.rule}"),
    Rule(("halting.threshold", "halting.halt_exploration_prob"), lambda r: r.episodes,
         "with episodes: every puzzle takes halting.halt_max_steps", (0,)),
    # Optimisers.
    Rule(("optim.eps",), lambda r: r.optim.name == "adam_atan2", "with optim={optim.name}"),
    Rule(("optim.muon_lr", "optim.muon_weight_decay"), lambda r: r.optim.name != "muon",
         "with optim={optim.name}"),
    Rule(("optim.puzzle_lr", "optim.puzzle_weight_decay"), lambda r: r.model.puzzle_width() == 0,
         "with model.puzzle_emb_ndim=0"),
    Rule(("optim.lr", "optim.betas", "optim.eps", "optim.weight_decay", "optim.muon_lr",
          "optim.muon_weight_decay", "optim.clip", "optim.ema"), lambda r: r.optim.freeze,
         "with optim.freeze=true", (0, None)),
    Rule(("optim.puzzle_weight_decay",), lambda r: r.optim.puzzle_lr == 0, "with optim.puzzle_lr=0", (0,)),
    Rule(("optim.lr_min_ratio", "optim.decay_from"), lambda r: r.optim.schedule == "constant",
         "with optim.schedule=constant"),
    Rule(("optim.decay_from",), lambda r: r.optim.constant_until(r.run.steps) == r.optim.warmup,
         "with optim.warmup={optim.warmup} and steps={run.steps}: the warm-up ends later", (0,)),
    Rule(("optim.schedule", "optim.lr_min_ratio", "optim.decay_from"),
         lambda r: r.optim.warmup >= r.run.steps,
         "with optim.warmup={optim.warmup} and steps={run.steps}: the warm-up does not end", ("constant",)),
    # The model.
    Rule(("model.num_heads",), lambda r: not r.uses_heads,
         "with model.mixer={model.mixer}: nothing has heads"),
    Rule(("model.attention",), lambda r: not r.attends, "with model.mixer={model.mixer}: nothing attends"),
    Rule(("model.positions",), lambda r: r.model.positions == "rope" and not r.mixes,
         "without attention between tokens (allowed: learned, axial, none)"),
    Rule(("model.positions",), lambda r: r.model.positions == "axial_rope" and not r.mixes,
         "beside axial without attention between tokens (allowed: learned, axial, none)"),
    Rule(("model.puzzle_emb_len",), lambda r: r.model.puzzle_width() == 0, "with model.puzzle_emb_ndim=0"),
    Rule(("model.mixer", "model.unit"), lambda r: not r.blocks,
         "with memory.placement=replace and no L-net: there are no blocks"),
    Rule(("model.expansion",), lambda r: not r.blocks and r.memory.expansion is not None,
         "with memory.expansion={memory.expansion} and no blocks"),
    Rule(("model.gradient_window",), lambda r: r.model.H_cycles == 1 and r.model.L_cycles <= 1,
         "with model.H_cycles=1 and model.L_cycles={model.L_cycles}: every window is the whole recursion",
         (None, "last_cycle", {"cycles": 1})),
    Rule(("model.told_cycles",), lambda r: not r.episodes, "with data={data.name}, which tells nothing",
         (None,)),
    # The memory.
    Rule(("memory.name", "memory.lifetime", "memory.write_when", "memory.write_in_evaluation",
          "memory.rate"),
         lambda r: not r.remembers,
         "with memory=none", (None,)),
    Rule(("memory.lifetime", "memory.write_when", "memory.write_in_evaluation"),
         lambda r: isinstance(r.memory, RetrievalSettings), "with memory=retrieval: no H-step writes",
         (None,)),
    Rule(("memory.lifetime",), lambda r: r.memory.lifetime == "episode" and not r.episodes,
         "with data={data.name}, which has no episodes", (None,)),
    Rule(("memory.rate",), lambda r: r.memory.lifetime != "global", "with memory.lifetime={memory.lifetime}"),
    Rule(("memory.expansion",),
         lambda r: not r.foreign and r.model.inner_width(r.memory.expansion) == r.inner,
         "with model.expansion={model.expansion}: the inner width is {inner} with both", (None,)),
    Rule(("memory.shared_cell", "memory.decay"), lambda r: r.selects_by("all"),
         "with memory.selector=all, which uses every cell at every H-step", (0, False, None)),
    Rule(("memory.decay", "memory.usage_average"), lambda r: r.every_cell,
         "with every cell active at every H-step", (0,)),
    Rule(("memory.usage_average",), lambda r: r.cells and r.memory.decay == 0, "with memory.decay=0"),
    Rule(("memory.combine",), lambda r: r.cells and r.memory.projections == 1,
         "with memory.projections=1", ("mean",)),
    Rule(("memory.combine", "memory.pooling", "memory.center", "memory.score_norm", "memory.scorer_start",
          "memory.own_projections"), lambda r: r.cells and not r.asks,
         "with memory.selector={memory.selector} and memory.gate={memory.gate}: no score is used",
         ("none", 0, False)),
    Rule(("memory.score_scale", "memory.fresh"), lambda r: r.cells and not r.scored,
         "with memory.selector={memory.selector} and memory.gate={memory.gate}: no score is used", (0,)),
    Rule(("memory.score_scale",), lambda r: r.cells and r.ranks,
         "with k={memory.k} and memory.gate={memory.gate}: the order of the scores is all that counts"),
    Rule(("memory.score_noise",), lambda r: r.cells and not (r.memory.selector == "topk" and r.picks),
         "with memory.selector={memory.selector} and k={memory.k} of {memory.cells} cells", (0,)),
    Rule(("memory.load_bias",),
         lambda r: r.cells and not (r.memory.selector in ("topk", "policy", "lowest_loss") and r.picks),
         "with memory.selector={memory.selector} and k={memory.k} of {memory.cells} cells", (0,)),
    Rule(("memory.hold",), lambda r: r.cells and not r.holds,
         "with memory.selector={memory.selector}, k={memory.k} and data={data.name}: the cells are the same",
         ("none",)),
    Rule(("memory.reads", "memory.writes"), lambda r: r.every_cell,
         "with every cell active", ("selected",)),
    Rule(("memory.k_stages",), lambda r: r.cells and set(r.memory.k_stages or ()) <= {r.memory.k},
         "with memory.k_stages={memory.k_stages} and k={memory.k}", (None,)),
    Rule(("memory.written",), lambda r: r.cells and r.memory.written == r.memory.active,
         "with k={memory.k}", (None,)),
    # The puzzles.
    Rule(("data.train_file", "data.test_file"), lambda r: not r.data.in_files, "with data.path=null"),
    Rule(("data.cache", "data.download", *(f"data.{name}" for name in BOUNDS)),
         lambda r: r.data.in_files,
         "with {files}: nothing is generated or downloaded", (None,)),
    Rule(("data.test_file", "data.test_size"), lambda r: r.data.holdout > 0 and r.data.in_files,
         "with data.holdout={data.holdout}, which takes the place of the test puzzles", (None,)),
    Rule(("data.seed",), lambda r: r.takes_whole_files, "with {files} and no size to draw"),
    Rule(("data.train_file", "data.test_file", "data.cache", "data.download"),
         lambda r: r.data.own_file is not None, "with data={data.name}, which has one file", (None,)),
    Rule(("data.demonstrations",), lambda r: r.identifies, "with data.protocol=transductive"),
    Rule(("data.variants", "data.draw", "data.translate"), lambda r: r.identifies and not r.data.augment,
         "with data.augment=false", (0, "own")),
    Rule(("data.seed",), lambda r: r.identifies and r.data.test_size is None and not r.data.augment,
         "with data.augment=false and no size to draw"),
    Rule(("data.seed",), lambda r: r.identifies and r.data.test_size is None and r.data.draw == "published",
         "with data.draw=published and no size to draw"),
    Rule(("data.shift",), lambda r: isinstance(r.data, ArcRulesSettings) and not r.data.shifts,
         "with data.kinds={data.kinds}, of which none shifts"),
    Rule(("data.translate",), lambda r: isinstance(r.data, ArcSettings) and r.data.strict,
         "with data.protocol=strict"),
    Rule(("data.cache",), lambda r: isinstance(r.data, ArcRulesSettings),
         "with data={data.name}, which is made each time", (None,)),
    Rule(("data.augment",), lambda r: isinstance(r.data, WITHOUT_VARIANTS),
         "with data={data.name}, whose examples have no variants", (False,)),
    Rule(("data.bag", "data.grams", "data.buckets"), lambda r: r.reads_texts and r.data.tokens != "ngrams",
         "with data.tokens={data.tokens}"),
    Rule(("data.vocabulary_size", "data.vocabulary"), lambda r: r.reads_texts and r.data.tokens != "learned",
         "with data.tokens={data.tokens}", (None,)),
    Rule(("data.vocabulary_size",), lambda r: r.reads_prose and r.data.tokens != "learned",
         "with data.tokens={data.tokens}"),
    Rule(("data.dropout",), lambda r: r.reads_texts and not r.data.augment, "with data.augment=false", (0,)),
    Rule(("data.augment",), lambda r: r.reads_texts and r.data.dropout == 0, "with data.dropout=0", (False,)),
    Rule(("data.early",), lambda r: isinstance(r.data, HopsSettings) and r.data.tells == "once",
         "with data.tells=once, where there is one fact", (False,)),
    Rule(("data.early_hops",), lambda r: isinstance(r.data, HopsSettings)
         and not (r.data.early and r.data.tells == "pieces"), "without early questions", (None,)),
    Rule(("data.reveal",), lambda r: r.episodes and r.data.shows != "part", "with data.shows={data.shows}"),
    # The course of the run.
    Rule(("eval_every",), lambda r: r.run.validation_size == 0, "with validation_size=0", (0,)),
    Rule(("probe_every",), lambda r: r.run.probe == "none", "with probe=none"),
)  # fmt: skip
"""In the order in which they are tried."""


def refuse_unused(run: "RunSettings", config: Mapping[str, Any], given: Iterable[str]) -> None:
    """Refuse settings of a training command that were given and are not used beside the others.

    Args:
        run: what `config` comes to.
        config: the configuration, for the values.
        given: the dotted names of the settings that were given.

    Raises:
        ValueError: one of them changes nothing; the message names it, its value and what it stands beside.
    """
    asked = set(given)
    if not asked:
        return
    situation = Run(run)
    if "k" in asked and situation.selects_by("all"):
        k, cells = situation.memory.k, situation.memory.cells
        refuse(k < cells, "k", k, f"with memory.selector=all, which uses all {cells} cells")
    both = {"data.vocabulary", "data.vocabulary_size"} <= asked
    refuse(both, "data.vocabulary_size", value_of(config, "data.vocabulary_size"), "with data.vocabulary")
    for rule in RULES:
        for name in asked.intersection(rule.names):
            value = value_of(config, name)
            if value not in rule.harmless and rule.holds(situation):
                refuse(True, name, value, rule.beside.format_map(vars(situation)))


def value_of(config: Mapping[str, Any], name: str) -> Any:
    """Return the value of a dotted name; None where there is none."""
    node: Any = config
    for part in name.split("."):
        node = node.get(part) if isinstance(node, Mapping) else None
    return node
