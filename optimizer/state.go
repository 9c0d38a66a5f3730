package optimizer

import "parallax/kernels"

// NamedBuffer is one parameter's piece of the state.
type NamedBuffer struct {
	Name       string // momentum.*, adam_m.*, adam_v.*, then the parameter's name
	Rows, Cols int
	Buffer     kernels.Buffer // Master type
}

// State lists the state by parameter, for checkpoints. Together with the
// parameters and the number of steps applied, which [Optimizer.Finish] is given and
// AdamW's bias corrections depend on, it is all that a step depends on. After
// writing to it there is nothing more to do.
func (o *Optimizer) State() []NamedBuffer {
	var state []NamedBuffer
	for _, p := range o.params {
		at := stateOffset(o.runs, p)
		add := func(name string, b kernels.Buffer) {
			state = append(state, NamedBuffer{name + "." + p.Name, p.Rows, p.Cols, b.Slice(at, at+p.Len())})
		}
		if o.cfg.rule(p) == muonRule {
			add("momentum", o.momentum)
		} else {
			add("adam_m", o.m)
			add("adam_v", o.v)
		}
	}
	return state
}

// StateBuffers is the same state as whole buffers, for sending it to another rank.
func (o *Optimizer) StateBuffers() []kernels.Buffer {
	var state []kernels.Buffer
	for _, b := range []kernels.Buffer{o.momentum, o.m, o.v} {
		if b != nil {
			state = append(state, b)
		}
	}
	return state
}
