package train

import (
	"parallax/kernels"
	"parallax/model"
	"parallax/shard"
)

// loader moves micro-batches from a source to the device.
type loader struct {
	be        kernels.Backend
	source    shard.Source
	documents bool
	batches   []*microBatch
	copies    []kernels.Event // under way
}

// microBatch is one slot's sequences, on the host and on the device.
type microBatch struct {
	tokens, targets, docStart []int32 // docStart nil without documents
	device                    model.Batch
	scored                    int
}

func newLoader(be kernels.Backend, source shard.Source, documents bool, slots, microBatch int) (*loader, error) {
	l := &loader{be: be, source: source, documents: documents}
	for range slots {
		b, err := newMicroBatch(be, microBatch*source.SeqLen(), documents)
		if err != nil {
			l.free()
			return nil, err
		}
		l.batches = append(l.batches, b)
	}
	return l, nil
}

func newMicroBatch(be kernels.Backend, positions int, documents bool) (b *microBatch, err error) {
	b = &microBatch{tokens: hostInts(be, positions), targets: hostInts(be, positions)}
	parts := []*kernels.Buffer{&b.device.Tokens, &b.device.Targets}
	if documents {
		b.docStart = hostInts(be, positions)
		parts = append(parts, &b.device.DocStart)
	}
	for _, p := range parts {
		if *p, err = be.Alloc(kernels.I32, positions); err != nil {
			b.free()
			return nil, err
		}
	}
	return b, nil
}

func hostInts(be kernels.Backend, n int) []int32 { return kernels.Cast[int32](be.HostAlloc(4 * n)) }

func (b *microBatch) free() {
	for _, buf := range []kernels.Buffer{b.device.Tokens, b.device.Targets, b.device.DocStart} {
		if buf != nil {
			buf.Free()
		}
	}
}

// load fills micro-batch i with the sequences at indices[i].
func (l *loader) load(split shard.Split, indices [][]int) error {
	l.copies = l.copies[:0]
	for i, rows := range indices {
		b := l.batches[i]
		b.scored = l.source.Fill(split, rows, b.tokens, b.targets, b.docStart)
		l.copies = append(l.copies,
			l.be.CopyIn(b.device.Tokens, kernels.Bytes(b.tokens)),
			l.be.CopyIn(b.device.Targets, kernels.Bytes(b.targets)))
		if l.documents {
			l.copies = append(l.copies, l.be.CopyIn(b.device.DocStart, kernels.Bytes(b.docStart)))
		}
	}
	return waitAll(l.copies)
}

func (l *loader) free() {
	for _, b := range l.batches {
		b.free()
	}
}

func waitAll(events []kernels.Event) error {
	for _, e := range events {
		if err := e.Wait(); err != nil {
			return err
		}
	}
	return nil
}
