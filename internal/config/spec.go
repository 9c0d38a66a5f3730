package config

// Spec is the run specification: everything that decides what a run computes.
// It is immutable once the run has started, and its hash names the run.
// How a run is deployed (addresses, devices, directories, deadlines) is not in
// it: see Cluster.
type Spec struct {
	Seed       uint64     `toml:"seed"`
	Model      Model      `toml:"model"`
	Optimizer  Optimizer  `toml:"optimizer"`
	Schedule   Schedule   `toml:"schedule"`
	Data       Data       `toml:"data"`
	Train      Train      `toml:"train"`
	Eval       Eval       `toml:"eval"`
	Checkpoint Checkpoint `toml:"checkpoint"`
}

// Model is the shape of the decoder.
type Model struct {
	Vocabulary int     `toml:"vocabulary"` // 0: the tokenizer's
	Layers     int     `toml:"layers"`
	Width      int     `toml:"width"` // d, the residual stream
	QHeads     int     `toml:"q_heads"`
	KVHeads    int     `toml:"kv_heads"`
	HeadDim    int     `toml:"head_dim"`
	FFN        int     `toml:"ffn"`    // SwiGLU's inner width
	Mixer      string  `toml:"mixer"`  // parallax | softmax
	Window     int     `toml:"window"` // sliding window, 0: none
	QKNorm     bool    `toml:"qk_norm"`
	TiedHead   bool    `toml:"tied_head"`
	RoPETheta  float64 `toml:"rope_theta"`
	NormEps    float64 `toml:"norm_eps"`
	InitStd    float64 `toml:"init_std"`
}

// Optimizer chooses and tunes the update.
type Optimizer struct {
	Name string `toml:"name"` // muon (AdamW for what is no hidden matrix) | adamw
	// Muon, for the hidden matrices.
	LR           float64 `toml:"lr"`
	Momentum     float64 `toml:"momentum"`
	Nesterov     bool    `toml:"nesterov"`
	Coefficients string  `toml:"coefficients"` // quintic | polar-express
	Scale        string  `toml:"scale"`        // spectral: sqrt(max(1, rows/cols)) | rms: 0.2 sqrt(max(rows, cols))
	WeightDecay  float64 `toml:"weight_decay"`
	PerHead      bool    `toml:"per_head"` // orthogonalise q, r, k, v head by head
	// AdamW, for embeddings, head and norms, or for everything.
	AdamLR          float64 `toml:"adam_lr"`
	Beta1           float64 `toml:"beta1"`
	Beta2           float64 `toml:"beta2"`
	AdamEps         float64 `toml:"adam_eps"`
	AdamWeightDecay float64 `toml:"adam_weight_decay"`
	ClipNorm        float64 `toml:"clip_norm"` // global gradient norm, 0: no clipping
}

// Schedule scales both learning rates over the run.
type Schedule struct {
	Name       string  `toml:"name"`        // cosine | wsd | constant
	Warmup     int     `toml:"warmup"`      // steps from 0 to the full rate
	Decay      float64 `toml:"decay"`       // wsd: the share of the run at its end in which the rate falls
	FinalScale float64 `toml:"final_scale"` // of the full rate, at the end
}

// Data says what is trained on.
type Data struct {
	Path       string  `toml:"path"`       // file or folder of text, or token file; empty: the Go installation's source tree
	Tokenizer  string  `toml:"tokenizer"`  // bytes | gpt2 | cl100k | o200k
	Validation float64 `toml:"validation"` // share of the sequences held out
	Documents  bool    `toml:"documents"`  // attention does not cross document boundaries
}

// Train is the size and length of the run.
type Train struct {
	Steps      int    `toml:"steps"`
	SeqLen     int    `toml:"seq_len"`
	MicroBatch int    `toml:"micro_batch"` // sequences in a micro-batch
	Slots      int    `toml:"slots"`       // micro-batches in a global step
	Reduction  string `toml:"reduction"`   // sum-f32 | sum-bf16
}

// Eval is how often, and on how much, the validation loss is measured.
type Eval struct {
	Every   int `toml:"every"`   // steps, 0: only at the end
	Batches int `toml:"batches"` // micro-batches
}

// Checkpoint is how often state is saved.
type Checkpoint struct {
	Every int `toml:"every"` // steps, 0: only at the end
	Keep  int `toml:"keep"`  // the last so many
}
