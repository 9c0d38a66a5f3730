package estimate

import (
	"parallax/internal/train"
	"parallax/model"
	"parallax/optimizer"
)

// Part is one use of memory.
type Part struct {
	Name  string `json:"name"`
	Bytes int64  `json:"bytes"`
	Host  bool   `json:"host"` // in the host's memory, also where the device has its own
	// Remedy is what to change when it is too large.
	Remedy string `json:"-"`
}

// Memory is what a rank needs at most, at rank 0, which also writes checkpoints and
// looks into the layers. A node that a joiner fetches the state from needs up to
// three more copies of it meanwhile, see internal/transfer; one that takes the state of
// another after a torn step, one more in the host's memory, see [train.Sync].
type Memory []Part

// Total is the sum of all parts: what a device needs that computes in the host's
// memory.
func (m Memory) Total() int64 {
	sum := int64(0)
	for _, p := range m {
		sum += p.Bytes
	}
	return sum
}

// Host is the sum of the parts that are in the host's memory in any case.
func (m Memory) Host() int64 {
	sum := int64(0)
	for _, p := range m {
		if p.Host {
			sum += p.Bytes
		}
	}
	return sum
}

// Largest is the part that takes most.
func (m Memory) Largest() Part {
	largest := Part{}
	for _, p := range m {
		if p.Bytes > largest.Bytes {
			largest = p
		}
	}
	return largest
}

const (
	smaller = "make the model smaller"
	shorter = "make train.micro_batch or train.seq_len smaller"
	again   = ", or set train.recompute = \"layer\""
	// Garbage is what a node lets the garbage collector leave until it comes by.
	Garbage = 16 << 20
	noLooks = "set diagnostics.every = 0"
	// program is a node without a run: code, runtime, tokenizer, connections, and
	// Garbage. The token file is mapped, and not counted: the system drops it when it
	// must.
	program = Garbage + 32<<20
)

func memoryOf(r Run, layout model.Layout, plan optimizer.Plan, slots int) Memory {
	t := r.Spec.Train
	cfg, params := train.OptimizerConfig(r.Spec), train.OptimizerParams(layout)
	m := r.Model.Bytes(r.Precision, t.MicroBatch, t.SeqLen)
	o := optimizer.MemoryBytes(cfg, params, r.Precision, r.Lanes)
	batches, remedy := batchBytes(r, slots), shorter
	if !r.Model.Recompute {
		remedy += again
	}
	parts := Memory{
		{"parameters", m.Parameters + m.Work, false, smaller},
		{"gradients", m.Gradients + exactBytes(r, layout), false, smaller},
		{"optimizer state", o.State, false, smaller + ", or choose another optimizer.name"},
		{"optimizer scratch", o.Scratch, false, smaller},
		{"activations", m.Activations, false, remedy},
		{"batches on the device", batches + lossBytes(r, slots), false, shorter + ", or use more nodes"},
		{"batches on the host", batches + lossBytes(r, slots), true, shorter + ", or use more nodes"},
		{"host copy of the state, for checkpoints", m.Parameters + o.State, true, smaller + ", or use hosts with more memory"},
		{"program", program, true, "use a larger host"},
	}
	if r.Spec.Diagnostics.Every > 0 {
		device, host := r.Model.DiagnoseBytes(r.Precision, t.MicroBatch, t.SeqLen)
		parts = append(parts, Part{"diagnostics on the device", device, false, noLooks}, Part{"diagnostics on the host", host, true, noLooks})
	}
	if r.Overhead > 0 {
		parts = append(parts, Part{"driver, libraries and scratch", r.Overhead, false, shorter})
	}
	if r.Nodes > 1 {
		parts = append(parts, Part{"ring staging", stagingBytes(layout, plan), true, smaller})
	}
	return parts
}

// exactBytes are the integers that sum-exact adds gradients up in.
func exactBytes(r Run, layout model.Layout) int64 {
	if r.Spec.Train.Reduction != "sum-exact" {
		return 0
	}
	return 4 * int64(layout.Size+len(layout.Params))
}

// batchBytes are the token ids, targets and, with documents, their starts, of the
// slots of a step.
func batchBytes(r Run, slots int) int64 {
	lists := int64(2)
	if r.Spec.Data.Documents {
		lists++
	}
	return 4 * lists * int64(max(1, slots)) * int64(r.Spec.Train.MicroBatch) * int64(r.Spec.Train.SeqLen)
}

// lossBytes is one number for every token of the slots.
func lossBytes(r Run, slots int) int64 {
	return int64(r.Precision.Master.Size()) * int64(max(1, slots)) * int64(r.Spec.Train.MicroBatch) * int64(r.Spec.Train.SeqLen)
}

// stagingBytes is the flat gradient, or the updates, on the way through the ring.
func stagingBytes(layout model.Layout, plan optimizer.Plan) int64 {
	return 4 * int64(max(layout.Size, plan.Bounds()[plan.World]))
}
