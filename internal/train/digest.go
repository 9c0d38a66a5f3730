package train

import (
	"crypto/sha256"
	"errors"
	"runtime"
	"sync"
	"sync/atomic"

	"parallax/kernels"
)

// digestPiece is how many bytes of a buffer are hashed together.
const digestPiece = 4 << 20

// Digest tells states apart: steps applied, parameters, optimizer, and the exponents
// of sum-exact. Nodes wait for it when a view ends, so it is the SHA-256 of the SHA-256
// of every piece, which all host threads that the device may use compute at once.
func (t *Trainer) Digest() ([]byte, error) {
	pieces := t.digestPieces()
	sums, err := t.hashPieces(pieces)
	if err != nil {
		return nil, err
	}
	h := sha256.New()
	h.Write(t.head())
	for i := range sums {
		h.Write(sums[i][:])
	}
	return h.Sum(nil), nil
}

// digestPieces are the buffers of the state cut up, in order.
func (t *Trainer) digestPieces() []kernels.Buffer {
	var all []kernels.Buffer
	for _, b := range t.buffers() {
		n := digestPiece / b.DType().Size()
		for lo := 0; lo < b.Len(); lo += n {
			all = append(all, b.Slice(lo, min(lo+n, b.Len())))
		}
	}
	return all
}

// hashPieces has each thread copy a piece to the host and hash it, then take the next.
func (t *Trainer) hashPieces(pieces []kernels.Buffer) ([][sha256.Size]byte, error) {
	threads := t.be.Info().Threads
	if threads == 0 { // a GPU leaves all to the host's work
		threads = runtime.GOMAXPROCS(0)
	}
	sums := make([][sha256.Size]byte, len(pieces))
	errs := make([]error, min(threads, len(pieces)))
	var next atomic.Int64
	var wg sync.WaitGroup
	for w := range errs {
		wg.Go(func() {
			host := t.be.HostAlloc(digestPiece)
			for i := int(next.Add(1)) - 1; i < len(pieces) && errs[w] == nil; i = int(next.Add(1)) - 1 {
				part := host[:pieces[i].Len()*pieces[i].DType().Size()]
				errs[w] = t.be.CopyOut(part, pieces[i]).Wait()
				sums[i] = sha256.Sum256(part)
			}
		})
	}
	wg.Wait()
	return sums, errors.Join(errs...)
}
