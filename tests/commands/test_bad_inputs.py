"""Bad settings of every command: each ends at once, with one line that names it and what was given."""

import shutil
from pathlib import Path

import pytest

from bad import call, cases, make_runs, refused
from tiny import TINY

pytestmark = pytest.mark.filterwarnings("ignore:.*found in sys.modules")


@pytest.fixture(scope="module")
def place(tmp_path_factory) -> Path:
    """A folder with runs and files, in which every case is tried."""
    folder = tmp_path_factory.mktemp("place")
    make_runs(folder)
    (folder / "text.txt").write_text("text\n")
    (folder / "empty").mkdir()
    (folder / "puzzle.txt").write_text("1" + "." * 15 + "\n")
    (folder / "solvable.txt").write_text("1.....2..3.....4\n")
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        for words in (["export", "run=cells"], ["transfer", "export", "run=cells"]):
            assert call(*words) == 0
        shutil.copytree("plain", "unfinished")
        Path("unfinished/summary.json").unlink()
        shutil.copytree("plain", "no-checkpoint")
        shutil.rmtree("no-checkpoint/checkpoints")
    return folder


TRAIN = """
steps=abc
steps=1.5
steps=1e3 | steps is 1000.0
steps=0
steps=-1
steps=true | steps | True
steps=null | steps | None
steps=[3] | steps | [3]
steps={a:1} | steps
steps='' | steps | ''
steps=3000000000
steps=99999999999999999999
steps=inf
steps=nan
steps=0x10 | steps
steps=1_000_000_000_000 | steps
stepz=3 | stepz | did you mean steps?
STEPS=3 | STEPS | steps
step=3 | step is unknown
batch_size=0
batch_size=-8
batch_size=8.0
batch_size=many
batch_size=4294967296
seed=-1
seed=1.0
seed=zero
seed=null | seed | None
seed=[0,1] | seed
seed=18446744073709551616
precision=float16
precision=fp32
precision=32
precision=null | precision | None
precision='' | precision | ''
device=tpu
device=gpu
device=cuda:x
device=0
device=null | device
device='' | device
threads=0
threads=-1
threads=1.5
threads=1000000
threads=all
compile=maybe
compile=1
compile=null | compile
deterministic=2
deterministic=yes_please
progress=loud
progress=0
eval_every=-1
eval_every=0.5
eval_batch_size=0
validation_size=20
validation_size=-1
validation_size=0.5
validation_size=600
log_every=0
log_every=-3
checkpoint_every=0
checkpoint_every=never
probe=heavy
probe=true | probe | True
probe_every=0
probe=light probe_every=0 | probe_every is 0
loss.kind=hinge
loss.kind=null | loss.kind
loss.lm=-1 | loss.lm | -1
loss.lm=nan
loss.lm=inf
loss.lm=x
loss.lm=[1] | loss.lm
loss.label_smoothing=0.1 | loss.label_smoothing | 0.1
loss.kind=softmax loss.label_smoothing=1 | loss.label_smoothing | 1
loss.kind=softmax loss.label_smoothing=-0.1 | loss.label_smoothing | -0.1
loss.q_halt=-0.5
loss.q_continue=0.3 | loss.q_continue | 0.3
loss.balance=0.1
loss.diverse=-1
loss.policy=0.5
loss.reward=exact
loss.reward=win
loss.baseline=mean
loss=3 | loss | 3
loss=stablemax | loss | stablemax
loss.kind.x=1 | loss.kind
loss.weight=1 | loss.weight
halting.rule=never
halting.halt_max_steps=0
halting.halt_max_steps=2.5
halting.halt_max_steps=-4
halting.halt_max_steps=2000000000
halting.halt_max_steps=1e2 | halting.halt_max_steps is 100.0
halting.halt_exploration_prob=1.5
halting.halt_exploration_prob=-0.1
halting.halt_exploration_prob=nan
halting.threshold=0
halting.threshold=1
halting.threshold=2
halting.threshold=-inf
halting.q_target=last
halting.q_target=reuse
halting.rule=q_learning halting.threshold=0.3 | halting.threshold | 0.3
halting.halt_max_steps=1 halting.threshold=0.3 | halting.threshold
halting=null | halting
halting={} | halting
model=trn | model=trn | did you mean trm?
model=TRM | model=TRM
model=null | model is null
model='' | model is empty
model="''" | model is ''
model=[trm,hrm] | model is [trm,hrm]
model={} | model is {}, which sets nothing
model={name:trm} | model is {name:trm}
model=../model/nothing | model
model.hidden_size=0
model.hidden_size=-16
model.hidden_size=16.0
model.hidden_size=wide
model.hidden_size=2147483648
model.hidden_size=15 | model.num_heads | 15
model.num_heads=3
model.num_heads=0
model.num_heads=32
model.num_heads=null | model.num_heads
model.expansion=0
model.expansion=-1
model.expansion=inf
model.expansion=1e300 | model.expansion is 1e+300
model.L_layers=-1
model.L_layers=0
model.L_cycles=0 | model.L_layers is 1 | L_cycles
model.L_cycles=-1
model.H_layers=2
model.H_layers=-2
model.H_cycles=0
model.H_cycles=two
model.H_net=both
model.H_net=own | model.H_layers is 0 | H_net=own
model.mixer=conv
model.positions=sine
data=hops model.positions=axial | model.positions is 'axial' | rows and columns
experiment=intent +memory=retrieval memory.fixed=-1 | memory.fixed is -1 | 0 or above
experiment=intent +memory=retrieval memory.query=mean | memory.query | state, text
data=hops model.mixer=attention model.positions=axial_rope | 'axial_rope' | rows and columns
model.mixer=mlp model.positions=axial_rope | model.positions is 'axial_rope' | model.mixer=attention
model.positions=axial_rope model.hidden_size=24 model.num_heads=4 | model.num_heads is 4 | 1, 2, 3, 6
model.positions=axial_rope model.hidden_size=18 model.num_heads=1 | model.num_heads | a width that 4 divides
model.positions=rope model.hidden_size=15 model.num_heads=1 | model.num_heads is 1 | a width that 2 divides
model.gradient_window=all
model.gradient_window=2
model.gradient_window={cycles:2} | model.gradient_window | 2
model.gradient_window={cycles:0} | model.gradient_window
model.gradient_window={cycles:1.0} | model.gradient_window
model.gradient_window={steps:1} | model.gradient_window
model.gradient_window=[1] | model.gradient_window
model.gradient_window={} | model.gradient_window
model.puzzle_emb_ndim=-1
model.puzzle_emb_ndim=1000
model.puzzle_emb_len=-1
model.puzzle_emb_ndim=0 model.puzzle_emb_len=3 | model.puzzle_emb_len
model.unit=relu
model.attention=flash
model.checkpoint_activations=2
model.depth=3 | model.depth is unknown
model.name=3
model.hidden_size.x=1 | model.hidden_size
model.mixer=mlp model.num_heads=1 | model.num_heads
optim=sgd
optim=null | optim
optim.lr=-1
optim.lr=nan
optim.lr=inf
optim.lr=fast
optim.lr=true | optim.lr | True
optim.lr=[1e-3,1e-4] | optim.lr
optim.betas=0.9
optim.betas=[0.9] | optim.betas
optim.betas=[0.9,0.99,0.999] | optim.betas
optim.betas=[0.9,1.0] | optim.betas
optim.betas=[0.9,x] | optim.betas | x
optim.betas=[0.9,null] | optim.betas
optim.betas=[] | optim.betas
optim.ema=1
optim.ema=-0.1
optim.warmup=-1
optim.warmup=1.5
optim.schedule=step
optim.decay_from=0.5
optim.schedule=linear optim.decay_from=1 | optim.decay_from | 1
optim.lr_min_ratio=0.5
optim.schedule=cosine optim.lr_min_ratio=2 | optim.lr_min_ratio | 2
optim.clip=0
optim.clip=-1
optim.clip=none
optim.eps=1e-6 | optim.eps is 1e-06
optim.eps=-1
optim.muon_lr=0.1
optim.weight_decay=-0.1
optim.puzzle_lr=-1
optim.momentum=0.9 | optim.momentum is unknown
optim.name=sgd
logger=tensorboard
logger.name=csv
logger.mode=offline | logger.mode is unknown
logger=wandb logger.mode=on | logger.mode is 'on'
logger=wandb logger.project=3 | logger.project is 3
logger=wandb logger.entity=[a] | logger.entity
logger.project=
data=sudoku5
data=null | data
data={} | data
data.kind=chess
data.kind=maze | data
data.side=5
data.side=0
data.side=four
data.side=-4
data.train_size=0
data.train_size=-1
data.train_size=1.5
data.train_size=100000 | data.train_size | 2236
data.train_size=999999999999
data.test_size=0
data.test_size=null | data.test_size
data.test_size=5000
data.holdout=-1
data.holdout=100000 data.test_size=null | data.test_size is null
data.max_clues=3
data.min_clues=9 | data.min_clues
data.min_clues=-1
data.min_guesses=3 data.max_guesses=1 | data.min_guesses
data.augment=often
data.augment=2
data.seed=-1
data.seed=x
data.name=
data.colour=red | data.colour is unknown
data.lengths=[2] | data.lengths
data.train_file=x.csv
data.test_file=x.csv
data.path=nowhere | nowhere/train.csv: no such file
data.path=text.txt
data.path=empty | empty/train.csv: no such file
data.path=
data.path=plain | plain/train.csv: no such file
data.path=. data.holdout=3 data.test_size=null | train.csv
data.path=3 | 3/train.csv: no such file
data.path=[a,b] | [a,b]/train.csv: no such file
data.cache=
data.download=x | data.path is null | download
data=sudoku6 data.max_clues=7 | data.max_clues is 7
data=sudoku9 data.max_clues=16 | data.max_clues is 16
data=maze data.side=1 data.min_length=1 | data.side is 1
data=maze data.side=1001 | data.side is 1001
data=maze data.min_walls=0.9 | data.min_walls | 0.9
data=maze data.min_walls=-0.1 | data.min_walls | -0.1
data=maze data.max_walls=1.5 | data.max_walls | 1.5
data=maze data.min_walls=nan | data.min_walls | nan
data=maze data.min_length=0 | data.min_length is 0
data=maze data.min_length=99 | data.min_length is 99
data=maze data.unique=2 | data.unique is 2
data=sudoku_extreme | data.path is null
data=maze_hard | data.path is null
data=recall data.lengths=[] | data.lengths
data=recall data.lengths=[0] | data.lengths
data=recall data.lengths=2 | data.lengths
data=recall data.lengths=[2,x] | data.lengths
data=recall data.lengths=[[2]] | data.lengths
data=recall data.lengths=null | data.lengths
data=recall data.test_length=0 | data.test_length is 0
data=recall data.test_episodes=0 | data.test_episodes is 0
data=recall data.alphabet=1 | data.alphabet is 1
data=recall data.alphabet=99 | data.alphabet is 99
data=recall data.length=0 | data.length is 0
data=recall data.length=13 | data.length is 13
data=recall data.rules=[spin] | data.rules | spin
data=recall data.rules=[] | data.rules
data=recall data.rules=none | data.rules
data=recall data.shows=some | data.shows
data=recall data.shows=part data.reveal=9 | data.reveal is 9
data=recall data.reveal=2 | data.reveal is 2
data=recall data.favour=2 | data.favour is 2
data=recall data.revises=true data.lengths=[1] | data.revises
data=contexts data.revises_from=1 | data.revises_from is 1; allowed: 0 without
data=contexts data.revises=true data.revises_from=4 | data.revises_from is 4; allowed: 0 to 3
data=recall data.augment=true | data.augment
data=recall data.hints=0.5 | data.hints
data=episodes data.side=9 | data.side is 9
data=episodes data.hints=2 | data.hints is 2
data=episodes data.hints=-1 | data.hints is -1
data=recall halting.threshold=0.4 | halting.threshold
memory=multicell | memory
+memory=multicel | multicel
+memory= | memory is empty
+memory=null | memory is null
++memory=3 | ++memory=3
++memory=[a] | memory is [a]
++memory.x=3 | memory
+k=2 | k is 2
k=2 | k is a setting of memories with cells
memory.cells=3 | no memory is chosen
+memory=bicross k=2 | k is a setting of memories with cells
+memory=bicross memory.tokens=0 | memory.tokens is 0
+memory=bicross memory.tokens=-3 | memory.tokens is -3
+memory=bicross memory.cells=3 | memory.cells is unknown
+memory=bicross memory.placement=above | memory.placement
+memory=bicross memory.horizon=0 | memory.horizon
+memory=bicross memory.horizon=episode | memory.horizon
+memory=bicross memory.lifetime=ever | memory.lifetime
+memory=bicross memory.lifetime=episode | memory.lifetime
+memory=bicross memory.rate=0.5 | memory.rate
+memory=bicross memory.lifetime=global memory.rate=0 | memory.rate
+memory=bicross memory.state_norm=layer | memory.state_norm
+memory=bicross memory.num_heads=5 | memory.num_heads is 5
+memory=bicross memory.expansion=-1 | memory.expansion
+memory=bicross memory.module=os.path | memory.module
+memory=bicross memory.module=3 | memory.module
+memory=bicross memory.module=null | memory.module
+memory=bicross memory.name=null | memory.name
+memory=bicross memory.write_in_evaluation=2 | memory.write_in_evaluation
+memory=multicell k=0 | k is 0
+memory=multicell k=9 | k is 9
+memory=multicell k=1.5 | k is 1.5
+memory=multicell k=null | k
+memory=multicell k=two | k | two
+memory=multicell memory.k=3 | memory.k is unknown | give k
+memory=multicell memory.cells=0 | memory.cells is 0
+memory=multicell memory.cells=1 | k is 2
+memory=multicell memory.selector=best | memory.selector
+memory=multicell memory.selector=all k=3 | k is 3
+memory=multicell memory.selector=all k=8 memory.shared_cell=true | memory.shared_cell
+memory=multicell memory.projections=0 | memory.projections
+memory=multicell memory.combine=max | memory.combine
+memory=multicell memory.gate=both | memory.gate
+memory=multicell memory.selector=oracle | memory.selector is 'oracle'
+memory=multicell memory.selector=hash | memory.selector is 'hash'
+memory=multicell memory.k_stages=[4,3] | memory.k_stages
+memory=multicell memory.k_stages=[9,2] | memory.k_stages
+memory=multicell memory.k_stages=[] | memory.k_stages
+memory=multicell memory.k_stages=[2] | memory.k_stages
+memory=multicell memory.selector=all k=8 memory.k_stages=[8] | memory.k_stages
+memory=multicell memory.pooling=last | memory.pooling
+memory=multicell memory.center=2 | memory.center is 2
+memory=multicell memory.load_bias=-1 | memory.load_bias is -1
+memory=multicell memory.score_noise=-1 | memory.score_noise is -1
+memory=multicell memory.selector=policy memory.score_noise=1 | memory.score_noise is 1
+memory=multicell memory.fresh=[0.5,2] | memory.fresh is
+memory=multicell memory.lifetime=global memory.fresh=[1] | memory.fresh is
+memory=multicell memory.lifetime=global memory.hold=example | memory.hold
+memory=multicell memory.hold=feedback | memory.hold
+memory=multicell memory.hold=true | memory.hold
+memory=multicell memory.cls=moving | memory.cls
+memory=multicell memory.straight_through=yes_please | memory.straight_through
+memory=multicell memory.reads=none | memory.reads
+memory=multicell k=8 memory.reads=all | memory.reads
+memory=multicell memory.written=0 | memory.written is 0
+memory=multicell memory.written=3 | memory.written is 3
+memory=multicell memory.written=2 | memory.written is 2
+memory=multicell memory.written=1 memory.writes=all | memory.written is 1
+memory=multicell memory.scorer_start=eye | memory.scorer_start
+memory=multicell memory.selector=policy loss.returns=episode | loss.returns
+memory=multicell memory.selector=policy loss.discount=0.5 | loss.discount
loss.discount=2
loss.returns=always
+memory=multicell memory.decay=2 | memory.decay
+memory=multicell memory.usage_average=1 | memory.usage_average
+memory=multicell memory.aggregation=add | memory.aggregation
+memory=multicell k=1 memory.shared_cell=true | k is 1
+memory=multicell loss.policy=1 | loss.policy
+memory=aggregate memory.aggregation=mean | memory.aggregation
+memory=tokens model=trm_mlp | model.mixer
+memory=none memory.rate=0.3 | memory.rate
+memory=carry_add memory.tokens=3 | memory.tokens
experiment=nothing | experiment
experiment=null | experiment
init=nowhere
init=empty
init=text.txt
init=puzzle.txt
init=
init=cells | init is cells
init=recall | init is recall
init=memory.safetensors
init=cells/memory.safetensors | init is cells/memory.safetensors
init=no-checkpoint
init=plain/config.yaml
dir=
dir=text.txt
dir=text.txt/run | dir is 'text.txt/run'
dir=/proc/run | dir is '/proc/run'
eval_every=0 steps=2 dir=plain seed=3 | seed is 3
eval_every=0 steps=2 dir=plain optim.lr=0.5 | optim.lr is 0.5
eval_every=0 steps=1 dir=cells | memory
foo | 'foo' is not of the form
plain | 'plain' is not of the form setting=value, such as seed=1
=3 | does not name its setting
a==b | a==b
steps==3 | steps
3=4 | 3=4
'st eps=3' | st eps
++steps | ++steps
~steps | steps
~model | model
~seed=0 | ~seed=0 would take the setting away
++unknown=1 | unknown
+steps=3 | steps
+new.group.x=1 | new
steps="'3" | quotes must be closed
data.lengths=[1,2 | brackets
model.gradient_window={cycles:1 | brackets
logger.project="it's" | logger.project
logger.project=été | logger.project
étapes=3 | étapes
steps=${seed | steps
steps=${nothing} | steps | nothing
'dir=runs/${nothing}' | dir | nothing
steps=${steps} | steps
steps=??? | steps is missing
seed=0,1 | several values
seed=choice(0,1) | several values
seed=range(0,3) | several values
--mltirun | did you mean --multirun?
-x | -x
-m steps=0 | in the job | steps is 0
-m seed=range(1 | seed
-m seed=choice() | seed
-m seed=range(0,3,0) | seed=range(0,3,0) | zero
-m model=trn steps=0 | trn
--cfg | --cfg
--cfg=all_of_it | --cfg
--config-name=nothing | nothing
--config-dir=nowhere model=own | nowhere
hydra.unknown=1 | hydra
hydra/launcher=submitit | submitit
"""


@pytest.mark.parametrize(("words", "parts"), cases(TRAIN))
def test_train(words, parts, place, monkeypatch, capsys):
    monkeypatch.chdir(place)
    refused(["train", *_beside(words)], parts, capsys)


OTHERS = """
unknown | the command 'unknown' is unknown
Train | did you mean train?
trian steps=3 | did you mean train?
evaluat run=plain | did you mean evaluate?
--version | --version
steps=3 | steps=3
evaluate | run is missing
evaluate run=
evaluate run=nowhere
evaluate run=empty | empty holds no run
evaluate run=text.txt | text.txt
evaluate run=[plain,cells] | run
evaluate run=plain run=cells | run
evaluate run=null | run
evaluate run=3 | 3 holds no run
evaluate run=cells/model.safetensors | cells/model.safetensors
evaluate run=no-checkpoint | last.pt
evaluate plain | 'plain' is not of the form setting=value, such as run=plain
evaluate run=plain checkpoint=first
evaluate run=plain checkpoint=null | checkpoint
evaluate run=plain checkpoint=best | best.pt
evaluate run=plain checkpoint=plain/checkpoints/last.pt
evaluate run=plain weights=average
evaluate run=plain weights=true | weights
evaluate run=plain halt_max_steps=0
evaluate run=plain halt_max_steps=-1
evaluate run=plain H_cycles=0 | H_cycles is 0; allowed: 1 or above
evaluate run=plain H_cycles=99999999999 | H_cycles is 99999999999; allowed: 1 to
evaluate run=plain halt_max_steps=2.5
evaluate run=plain halt_max_steps=all
evaluate run=plain halt_max_steps=99999999999
evaluate run=plain halt_max_steps=1000001
evaluate run=plain restarts=99999999999 noise=1 | restarts is 99999999999
evaluate run=plain threshold=0
evaluate run=plain threshold=1
evaluate run=plain threshold=1.5
evaluate run=plain threshold=-1
evaluate run=plain threshold=nan
evaluate run=plain threshold=high
evaluate run=plain halt_max_steps=1 threshold=0.9 | threshold
evaluate run=plain write=false | write is false
evaluate run=plain write=0
evaluate run=plain restarts=0
evaluate run=plain restarts=-2
evaluate run=plain restarts=1.5
evaluate run=plain restarts=4 | restarts
evaluate run=plain restarts=4 noise=0 | noise
evaluate run=plain restarts=4 noise=-1 | noise
evaluate run=plain noise=inf
evaluate run=plain noise=-0.5
evaluate run=plain noise=loud
evaluate run=plain select=best
evaluate run=plain select=majority
evaluate run=plain restarts=2 noise=0.1 select=sum | select
evaluate run=plain seed=-1 noise=0.1 | seed
evaluate run=plain seed=3
evaluate run=plain noise=0.1 seed=x
evaluate run=plain noise=0.1 seed=99999999999999999999
evaluate run=plain batch_size=0
evaluate run=plain batch_size=-5
evaluate run=plain batch_size=1.5
evaluate run=plain batch_size=null | batch_size
evaluate run=plain batch_size=9999999999
evaluate run=plain precision=half
evaluate run=plain device=tpu
evaluate run=plain threads=0
evaluate run=plain threads=-2
evaluate run=plain threads=99999999
evaluate run=plain progress=never
evaluate run=plain overwrite=yes | overwrite
evaluate run=plain overwrite=1
evaluate run=plain out=
evaluate run=plain out=empty
evaluate run=plain out=text.txt
evaluate run=plain out=text.txt/scores.json
evaluate run=plain out=/proc/scores.json
evaluate run=plain data.path=nowhere | nowhere/test.csv
evaluate run=plain data.path=empty | empty/test.csv
evaluate run=plain data.path=text.txt | text.txt
evaluate run=plain data.test_file=none.csv | none.csv: no such file
evaluate run=plain data.test_size=0
evaluate run=plain data.test_size=-1
evaluate run=plain data.test_size=99999999
evaluate run=plain data.test_length=3
evaluate run=plain data.test_episodes=3
evaluate run=plain data.seed=3 | data.seed
evaluate run=plain data=maze | data is a group of settings | data.path
evaluate run=recall data.test_length=0
evaluate run=recall data.test_length=-1
evaluate run=recall data.test_episodes=0
evaluate run=recall data.test_size=0
evaluate run=plain model=trm | model is unknown
evaluate run=plain stesp=3 | stesp is unknown
evaluate run=plain +new=1 | new is unknown
evaluate run=plain ~device | ~device
evaluate run=plain trust=os.path | trust is 'os.path'
evaluate run=plain trust=nothing.Nothing | trust is 'nothing.Nothing'
evaluate run=plain trust=3
evaluate run=plain trust=[a.B] | a.B
evaluate -m run=plain batch_size=0 | in the job | batch_size is 0
export | run is missing
export run=nowhere
export run=plain weights=best
export run=plain out=text.txt
export run=plain out=empty
export run=plain out=text.txt/x
export run=cells | model.safetensors | overwrite=true
export run=no-checkpoint | last.pt
export run=plain checkpoint=best | best.pt
export run=plain overwrite=maybe
export run=plain batch_size=3 | batch_size is unknown
export run=[plain] | run
probe | run is missing
probe run=nowhere
probe run=[] | run
probe run=plain run=plain | run
probe run=[plain,nowhere] | nowhere
probe run=[plain,./plain] | run
probe run=plain puzzles=0
probe run=plain puzzles=-3
probe run=plain puzzles=many
probe run=plain depth=0
probe run=plain depth=1.5
probe run=plain few_puzzles=0
probe run=plain restarts=0
probe run=plain noise=0
probe run=plain noise=-1
probe run=plain noise=nan
probe run=plain causal_puzzles=4
probe run=plain shuffles=4
probe run=cells causal_puzzles=0
probe run=cells shuffles=0
probe run=plain seed=-1
probe run=plain seed=1.5
probe run=plain threads=0
probe run=plain threads=-1
probe run=plain threads=99999999
probe run=plain out=text.txt
probe run=plain out=plain | plain
probe run=plain out=text.txt/x
probe run=plain weights=none
probe run=plain checkpoint=best | best.pt
probe run=no-checkpoint | last.pt
probe run=plain progress=2
prune | run is missing
prune run=cells | keep is missing
prune run=plain keep=2 | run is 'one with memory=none'
prune run=nowhere keep=2 | nowhere
prune run=cells keep=0
prune run=cells keep=1
prune run=cells keep=-1
prune run=cells keep=5
prune run=cells keep=0.0
prune run=cells keep=1.5
prune run=cells keep=-0.5
prune run=cells keep=nan
prune run=cells keep=all
prune run=cells keep=null | keep
prune run=cells keep=[] | keep
prune run=cells keep=[0] | keep
prune run=cells keep=[0,0] | keep
prune run=cells keep=[0,4] | keep
prune run=cells keep=[-1,0] | keep
prune run=cells keep=[0,x] | keep
prune run=cells keep=[0.5,1] | keep
prune run=cells keep=true | keep
prune run=cells keep={a:1} | keep
prune run=cells keep=2 puzzles=0
prune run=cells keep=2 batch_size=0
prune run=cells keep=2 threads=0
prune run=cells keep=2 threads=-1
prune run=cells keep=2 device=tpu
prune run=cells keep=2 out=cells
prune run=cells keep=2 out=.
prune run=cells keep=2 out=plain
prune run=cells keep=2 out=empty
prune run=cells keep=2 out=text.txt
prune run=cells keep=2 out=text.txt overwrite=true | out is 'text.txt'
prune run=cells keep=2 out=text.txt/x
prune run=cells keep=2 checkpoint=best | best.pt
solve | run is missing
solve run=plain | file is missing
solve puzzle.txt | run is missing
solve run=plain file=nowhere | nowhere
solve run=plain file=empty | empty
solve run=plain nowhere | nowhere
solve run=plain file= | file
solve run=nowhere puzzle.txt | nowhere
solve run=text.txt puzzle.txt | text.txt
solve run=memory.safetensors puzzle.txt | memory.safetensors
solve run=cells/memory.safetensors puzzle.txt | cells/memory.safetensors
solve run=recall puzzle.txt | puzzle.txt:1
solve run=plain text.txt | text.txt:1
solve run=plain puzzle.txt text.txt | file is ['puzzle.txt', 'text.txt'] | a text
solve run=plain puzzle.txt file=text.txt | file is
solve run=plain puzzle.txt examples=puzzle.txt
solve run=plain puzzle.txt halt_max_steps=0
solve run=plain puzzle.txt halt_max_steps=x
solve run=plain puzzle.txt batch_size=0
solve run=plain puzzle.txt threads=0
solve run=plain puzzle.txt threads=99999999
solve run=plain puzzle.txt device=tpu
solve run=plain puzzle.txt out=text.txt
solve run=plain puzzle.txt out=empty
solve run=plain puzzle.txt out=text.txt/x
solve run=plain puzzle.txt weights=x
compare | run is missing
compare nowhere | nowhere
compare plain empty | empty
compare plain unfinished | unfinished is not finished
compare text.txt | text.txt
compare plain plain | each run once
compare plain ./plain/ | each run once
compare plain figure= | figure is empty
compare plain figure=x.svg | figure is x.svg
compare plain figure=text.txt | figure
compare recall figure=text.txt/x.svg | figure
compare recall plain figure=x.svg | figure is x.svg
compare recall overwrite=true | overwrite is true
compare plain --unknown | --unknown
memory | command
transfer exprot run=cells | direction is 'exprot' | export, import
transfer run=cells | direction is missing
transfer export | run is missing
transfer export cells | run is missing
transfer export run=nowhere
transfer export run=plain | run
transfer export run=cells | memory.safetensors | overwrite=true
transfer export run=cells out=m cells=[] | cells
transfer export run=cells out=m cells=[4] | cells
transfer export run=cells out=m cells=[-1] | cells
transfer export run=cells out=m cells=[0,0] | cells
transfer export run=cells out=m cells=[0.5] | cells[0] is 0.5
transfer export run=cells out=m cells=[x] | cells[0] is 'x'
transfer export run=cells out=m cells=0 | cells is 0
transfer export run=cells out=m cells=all | cells
transfer export run=cells out=m cells=[true] | cells[0] is True
transfer export run=cells out=text.txt
transfer export run=cells out=empty
transfer export run=cells out=text.txt/x
transfer export run=cells out=m weights=x
transfer export run=cells out=m at=[0] | at is [0], which changes nothing with export
transfer export run=cells out=m checkpoint=best | best.pt
transfer export run=cells out=m overwrite=2
transfer export run=cells,plain out=m | run
transfer export run=cells ~out | ~out
transfer export run=cells out | direction is 'out'
transfer import | run is missing
transfer import run=cells out=new | from is missing
transfer import from=nowhere run=cells out=new | nowhere
transfer import from=text.txt run=cells out=new | text.txt
transfer import from=empty run=cells out=new | empty
transfer import from=cells/model.safetensors run=cells out=new | cells/model.safetensors
transfer import from=cells/memory.safetensors out=new | run is missing
transfer import from=cells/memory.safetensors run=cells | out is missing
transfer import from=cells/memory.safetensors run=plain out=new | run
transfer import from=cells/memory.safetensors run=nowhere out=new | nowhere
transfer import from=cells/memory.safetensors run=cells out=cells | out is 'cells'
transfer import from=cells/memory.safetensors run=cells out=plain | out is 'plain'
transfer import from=cells/memory.safetensors run=cells out=. | out is '.'
transfer import from=cells/memory.safetensors run=cells out=text.txt/x | out is 'text.txt/x'
transfer import from=cells/memory.safetensors run=cells out=new at=[0] | at is [0]
transfer import from=cells/memory.safetensors run=cells out=new at=[0,1,2,9] | at is
transfer import from=cells/memory.safetensors run=cells out=new at=[0,1,2,2] | at is
transfer import from=cells/memory.safetensors run=cells out=new at=x | at is 'x'
transfer import from=cells/memory.safetensors run=cells out=new weights=raw | weights is raw | with import
transfer import from=null run=cells out=new | from is missing
transfer import from= run=cells out=new | from is empty
transfer import from=cells/memory.safetensors run=cells out=null | out
bench seed=x | seed is 'x'
bench steps=3 | steps is 3
bench model=trn | model=trn
bench foo | 'foo' is not of the form
bench repeat=0 | repeat is 0
bench repeat=-1 | repeat
bench repeat=x | repeat
bench repeat=1.5 | repeat
bench match=size | match
bench match=flops | match is flops
bench target=model=trm repeat=3 | repeat is 3
bench target=model=trm vs=compile=true | vs
bench target=model=trm out=x.json | out
bench target=model=trn | model=trn
bench target="'" | target
bench vs="model='x" | vs
bench vs=foo | 'foo' is not of the form
bench out=text.txt | out is 'text.txt'
bench out=empty | out is 'empty'
bench out=text.txt/x | out
bench overwrite=true | overwrite
bench out= | out is empty
bench --unknown | --unknown
bench +memory=multicell k=99 | k is 99
bench device=tpu | device
bench batch_size=0 | batch_size is 0
parity | file is missing
parity nowhere.npz | nowhere.npz
parity text.txt | text.txt
parity empty | empty
parity cells/model.safetensors | cells/model.safetensors
parity --unknown text.txt | --unknown
data | command
data list | command 'list'
data build | NAME is missing
data build sudoku4 | out is missing
data build sudokuX out=new | did you mean sudoku
data build sudoku4 out=text.txt | text.txt
data build sudoku4 out=text.txt/x | text.txt
data build sudoku4 out=new test_size=0 | data.test_size is 0
data build sudoku4 out=new test_size=null | data.test_size is null
data build sudoku4 out=new test_size=9999 | data.test_size is 9999
data build sudoku4 out=new train_size=9999 | data.train_size
data build sudoku4 out=new side=5 | data.side is 5
data build sudoku4 out=new sied=5 | data.sied is unknown
data build sudoku4 out=new max_clues=2 | data.max_clues is 2
data build sudoku4 out=new overwrite=2 | overwrite is 2
data build sudoku4 out=new seed=-1 | data.seed is -1
data build sudoku9 out=new train_size=null | data.train_size is null
data build sudoku6 out=new max_clues=30 min_guesses=999 train_size=1 test_size=1 | guesses
data build sudoku9 out=new min_clues=81 max_clues=null | min_clues is 81
data build maze out=new side=2 min_length=3 | data.min_length is 3
data build maze out=new side=3 min_walls=0.9 max_walls=0.95 min_length=1 | data.min_walls
data build maze out=new side=3 min_walls=0 max_walls=0 min_length=8 train_size=1 test_size=1 | min_length
data build maze out=new side=2 train_size=99999 test_size=3 min_length=1 min_walls=0 | maze
data build recall out=new train_size=99999999 | train_size
data build sudoku_extreme out=new | data.path is null
data build sudoku4 maze out=new | maze
data build sudoku4 out= | out is empty
data build sudoku4 out=new min_clues=16 max_clues=null | data.min_clues is 16
data build sudoku4 out=new min_guesses=9 max_guesses=null | data.test_size is 600 | 0 puzzles
data inspect | NAME is missing
data inspect nothing | nothing
data inspect path=nowhere | nowhere
data inspect path=empty | empty
data inspect path=text.txt | text.txt
data inspect path= | path is empty
data inspect sudoku4 path=nowhere | nowhere
data inspect sudoku4 foo | 'foo' is not of the form
data inspect sudoku4 train_size=x | data.train_size is 'x'
data inspect maze_hard | data.path is null
data convert sudoku4 | out is missing
data convert sudoku4 out=new.csv | path is None
data convert sudoku4 path=nowhere out=new.csv | path is 'nowhere'
data convert sudoku4 path=empty out=new.csv | path is 'empty'
data convert sudoku4 path=text.txt out=new.csv | text.txt:1
data convert sudoku9 path=puzzle.txt out=new.csv | puzzle.txt
data convert sudoku4 path=puzzle.txt out=new.csv | puzzle.txt:1
data convert sudoku4 path=solvable.txt out=text.txt | text.txt
data convert sudoku4 path=solvable.txt out=text.txt/x | text.txt
data convert sudoku4 path=solvable.txt out=empty | empty
data convert sudoku4 path=solvable.txt out=new.csv test_file=x.csv | data.test_file
data download sudoku4 out=new | sudoku4 is generated
data download sudoku_extreme | out is missing
data download sudokuX out=new | sudokuX
data download out=new | NAME is missing
data inspect sudoku4 --unknown | --unknown
"""


@pytest.mark.parametrize(("words", "parts"), cases(OTHERS))
def test_other_commands(words, parts, place, monkeypatch, capsys):
    monkeypatch.chdir(place)
    refused(words, parts, capsys)


def _beside(words: list[str]) -> list[str]:
    """The settings of a tiny run, without those that the case gives, and the case."""
    names = {word.lstrip("+~").partition("=")[0] for word in words}
    tiny = [word for word in TINY if not names & {word.partition("=")[0]}]
    if names & {"model", "data", "experiment", "--config-name"}:
        tiny = [word for word in tiny if word.startswith(("threads", "progress", "steps"))]
    if any(word.startswith("+memory=") for word in words):
        tiny = [*(word for word in tiny if not word.startswith("model.H_cycles")), "model.H_cycles=2"]
    return [*tiny, *([] if "dir" in names else ["dir=new"]), *words]
