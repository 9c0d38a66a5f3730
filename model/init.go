package model

import (
	"hash/fnv"
	"math"
	"strings"
	"sync"

	"parallax/kernels"
)

// Init draws the parameters on the host and copies them to the device:
//
//	gains                    1
//	o_proj, down_proj        normal, standard deviation InitStd / sqrt(2*Layers)
//	all other matrices       normal, standard deviation InitStd
//
// so that the residual stream, a sum of 2*Layers outputs, starts at the same scale
// at any depth (Radford et al. 2019). What sets the size of r, the gain of its norm
// or r_proj where there is none, is multiplied by [ProbeInit]'s factor.
//
// The numbers depend on the seed, the parameter's name and the position in it
// alone, see [stream]: they are the same on every backend (up to its rounding), and
// a softmax model starts where the Parallax model of the same seed does.
func (m *Model) Init(seed uint64) error {
	m.be.Zero(m.params)
	values := make([]float64, min(m.layout.Size, initChunk))
	raw := m.be.HostAlloc(len(values) * m.params.DType().Size())
	for _, p := range m.layout.Params {
		if err := m.initParam(p, seed, values, raw); err != nil {
			return err
		}
	}
	m.SyncWork()
	return nil
}

// initChunk is how many numbers Init draws at a time, which bounds the host memory
// that it needs.
const initChunk = 1 << 18

// initParam draws a parameter in pieces as long as values; raw has room for one.
func (m *Model) initParam(p Param, seed uint64, values []float64, raw []byte) error {
	scale := m.cfg.initScale(p)
	s := newStream(seed, p.Name)
	for lo := 0; lo < p.Len(); lo += len(values) {
		chunk := values[:min(len(values), p.Len()-lo)]
		if p.Kind == Norm {
			fill(chunk, func(int) float64 { return scale })
		} else {
			fill(chunk, func(i int) float64 { return scale * s.normal(lo+i) })
		}
		dst := m.params.Slice(p.Offset+lo, p.Offset+lo+len(chunk))
		piece := raw[:len(chunk)*dst.DType().Size()]
		kernels.Narrow(piece, dst.DType(), chunk)
		if err := m.be.CopyIn(dst, piece).Wait(); err != nil {
			return err
		}
	}
	return nil
}

// initScale is the value of a gain, and the standard deviation of a matrix.
func (c Config) initScale(p Param) float64 {
	switch {
	case strings.HasSuffix(p.Name, ".r_norm.weight"):
		return c.probeScale()
	case p.Kind == Norm:
		return 1
	case strings.HasSuffix(p.Name, ".r_proj.weight") && !c.QKNorm:
		return c.InitStd * c.probeScale()
	case strings.HasSuffix(p.Name, ".o_proj.weight") || strings.HasSuffix(p.Name, ".down_proj.weight"):
		return c.InitStd / math.Sqrt(2*float64(c.Layers))
	}
	return c.InitStd
}

// probeScale is the size of r beside that of q.
func (c Config) probeScale() float64 {
	switch c.ProbeInit {
	case ScaledProbe:
		return 1 / math.Sqrt(float64(c.HeadDim))
	case NoProbe:
		return 0
	}
	return 1
}

// fill sets x[i] = f(i), in parallel pieces.
func fill(x []float64, f func(i int) float64) {
	const piece = 1 << 14
	var wg sync.WaitGroup
	for lo := 0; lo < len(x); lo += piece {
		wg.Go(func() {
			for i := lo; i < min(lo+piece, len(x)); i++ {
				x[i] = f(i)
			}
		})
	}
	wg.Wait()
}

// stream is a counter-based source of random numbers: number i is
// SplitMix64's output (Steele et al. 2014) at state key + (i+1)*gamma, with the
// key made from the seed and the 64-bit FNV-1a hash of a name.
type stream struct{ key uint64 }

const gamma = 0x9e3779b97f4a7c15

func newStream(seed uint64, name string) stream {
	h := fnv.New64a()
	h.Write([]byte(name))
	return stream{mix(mix(seed+gamma) ^ h.Sum64())}
}

// normal is standard normal number i, by Box and Muller's transform of the
// uniform numbers 2i and 2i+1.
func (s stream) normal(i int) float64 {
	u, v := s.uniform(2*i), s.uniform(2*i+1)
	return math.Sqrt(-2*math.Log(u)) * math.Cos(2*math.Pi*v)
}

// uniform is in (0, 1), with 53 bits.
func (s stream) uniform(i int) float64 {
	x := mix(s.key + (uint64(i)+1)*gamma)
	return (float64(x>>11) + 0.5) / (1 << 53)
}

func mix(z uint64) uint64 {
	z = (z ^ z>>30) * 0xbf58476d1ce4e5b9
	z = (z ^ z>>27) * 0x94d049bb133111eb
	return z ^ z>>31
}
