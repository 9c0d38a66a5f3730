package model

import (
	"testing"

	"parallax/kernels"
)

// mixed is the oracle with a GPU's types: it rounds whatever it stores to them.
type mixed struct{ kernels.Backend }

func (m mixed) Info() kernels.Info {
	info := m.Backend.Info()
	info.Precision = kernels.Precision{Compute: kernels.BF16, Master: kernels.F32}
	return info
}

// TestTwoPrecisions runs the model with a separate working copy.
func TestTwoPrecisions(t *testing.T) {
	const batch, seqLen = 2, 9
	for name, v := range variants() {
		t.Run(name, func(t *testing.T) {
			exact := newModel(t, oracle(t), v.config, batch, seqLen)
			b := randomTokens(v.config, batch, seqLen, v.packed)
			want := gradients(t, exact, b.on(t, exact.be), 1)

			meter := &meter{Backend: mixed{oracle(t)}}
			m := newModel(t, meter, v.config, batch, seqLen)
			if bytes := v.config.Bytes(m.be.Info().Precision, batch, seqLen).Total(); meter.bytes != bytes {
				t.Errorf("%d bytes allocated, %d counted", meter.bytes, bytes)
			}
			if e := relativeError(gradients(t, m, b.on(t, meter), 1), want); !(e < 0.1) {
				t.Errorf("bfloat16 gradient differs by %g", e)
			}
			if m.Work() == m.Params() || m.Work().DType() != kernels.BF16 || m.Params().DType() != kernels.F32 || m.Grads().DType() != kernels.F32 {
				t.Errorf("work is %v, parameters are %v, gradients %v", m.Work().DType(), m.Params().DType(), m.Grads().DType())
			}
			if e := relativeError(read(t, meter, m.Work()), read(t, meter, m.Params())); e == 0 || e > 1.0/256 {
				t.Errorf("the working copy differs from the parameters by %g", e)
			}
		})
	}
}
