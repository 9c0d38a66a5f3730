package cpu

import "parallax/kernels"

type embeddingJob struct {
	y, w    matrix
	tokens  []int32
	rowsPer int
}

// Embedding gathers rows of W.
func (b *Backend) Embedding(op kernels.Embedding) {
	kernels.Must(op.Check())
	j := &b.embedding
	*j = embeddingJob{y: view(op.Y), w: view(op.W), tokens: ints(op.Tokens)}
	var tasks int
	tasks, j.rowsPer = rowTasks(j.y.rows, j.y.cols)
	runOnce(b.pool, tasks, j)
}

func (j *embeddingJob) run(_ *worker, task int) {
	for n := task * j.rowsPer; n < min((task+1)*j.rowsPer, j.y.rows); n++ {
		copy(j.y.row(n), j.w.row(int(j.tokens[n])))
	}
}

// A task scatters to some columns of some words: it walks all tokens in order, so that
// rows hit twice are summed in that order. Columns are so many that the processor sees a
// row coming, words are dealt out so that a frequent one holds up few others.
const (
	embeddingCols  = 512
	embeddingDecks = 8 // of words
)

type embeddingBackwardJob struct {
	set    *kernelSet
	dw, dy matrix
	tokens []int32
}

// EmbeddingBackward adds each row of DY to its token's row of DW.
func (b *Backend) EmbeddingBackward(op kernels.EmbeddingBackward) {
	kernels.Must(op.Check())
	j := &b.embedBack
	*j = embeddingBackwardJob{set: b.kernels, dw: view(op.DW), dy: view(op.DY), tokens: ints(op.Tokens)}
	runOnce(b.pool, ceilDiv(j.dw.cols, embeddingCols)*embeddingDecks, j)
}

func (j *embeddingBackwardJob) run(_ *worker, task int) {
	lo, deck := task/embeddingDecks*embeddingCols, int32(task%embeddingDecks)
	hi := min(lo+embeddingCols, j.dw.cols)
	for n, token := range j.tokens {
		if token%embeddingDecks == deck {
			j.set.addTo(j.dw.row(int(token))[lo:hi], j.dy.row(n)[lo:hi])
		}
	}
}
