package train

import (
	"crypto/sha256"
	"errors"
	"runtime"
	"slices"
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
	return t.digest(t.head(), len(pieces), func(i int, host []byte) ([]byte, error) {
		part := host[:pieces[i].Len()*pieces[i].DType().Size()]
		return part, t.be.CopyOut(part, pieces[i]).Wait()
	})
}

// imageDigest is the digest of the state that an image is of.
func (t *Trainer) imageDigest(image [][]byte) ([]byte, error) {
	var pieces [][]byte
	for _, part := range image[1:] {
		pieces = slices.AppendSeq(pieces, slices.Chunk(part, digestPiece))
	}
	return t.digest(image[0], len(pieces), func(i int, _ []byte) ([]byte, error) { return pieces[i], nil })
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

// digest joins the sums of an image's head and pieces. Each thread has a piece read, to
// host memory that it lends or from where it lies, and hashes it, then takes the next.
func (t *Trainer) digest(head []byte, pieces int, read func(i int, host []byte) ([]byte, error)) ([]byte, error) {
	threads := t.be.Info().Threads
	if threads == 0 { // a GPU leaves all to the host's work
		threads = runtime.GOMAXPROCS(0)
	}
	sums := make([][sha256.Size]byte, pieces)
	errs := make([]error, min(threads, pieces))
	var next atomic.Int64
	var wg sync.WaitGroup
	for w := range errs {
		wg.Go(func() {
			host := t.be.HostAlloc(digestPiece)
			for i := int(next.Add(1)) - 1; i < pieces && errs[w] == nil; i = int(next.Add(1)) - 1 {
				var piece []byte
				piece, errs[w] = read(i, host)
				sums[i] = sha256.Sum256(piece)
			}
		})
	}
	wg.Wait()
	h := sha256.New()
	h.Write(head)
	for i := range sums {
		h.Write(sums[i][:])
	}
	return h.Sum(nil), errors.Join(errs...)
}
