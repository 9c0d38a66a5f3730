package config

// Spec is the run specification: everything that decides what a run computes.
// It is immutable once the run has started, and its hash names the run.
// How a run is deployed (addresses, devices, directories, deadlines) is not in
// it: see [Daemon].
//
// The tags are the specification's documentation: toml names the key, doc
// explains it, choice lists the values of a key that has few. A key that came
// after the first runs has a before: the value by which a specification that does
// not have the key yet is understood, and with which it has the hash it always had.
type Spec struct {
	Seed       uint64     `toml:"seed" doc:"of everything drawn at random: initial weights, order of samples"`
	Model      Model      `toml:"model"`
	Optimizer  Optimizer  `toml:"optimizer"`
	Schedule   Schedule   `toml:"schedule"`
	Data       Data       `toml:"data"`
	Train      Train      `toml:"train"`
	Eval       Eval       `toml:"eval"`
	Checkpoint Checkpoint `toml:"checkpoint"`

	Diagnostics Diagnostics `toml:"diagnostics"`
}

// Model is the shape of the decoder.
type Model struct {
	Vocabulary int     `toml:"vocabulary" doc:"rows of the embedding; 0: as many as the tokenizer has"`
	Layers     int     `toml:"layers" doc:"decoder blocks"`
	Width      int     `toml:"width" doc:"of the residual stream"`
	QHeads     int     `toml:"q_heads" doc:"query heads, a multiple of kv_heads"`
	KVHeads    int     `toml:"kv_heads" doc:"key and value heads"`
	HeadDim    int     `toml:"head_dim" doc:"size of a head, even, at most 256"`
	FFN        int     `toml:"ffn" doc:"inner width of the SwiGLU"`
	Mixer      string  `toml:"mixer" doc:"attention's weighting" choice:"parallax|softmax"`
	Window     int     `toml:"window" doc:"sliding window in tokens; 0: none"`
	QKNorm     bool    `toml:"qk_norm" doc:"RMSNorm on every head of q, k and r"`
	ProbeInit  string  `toml:"probe_init" doc:"size of r at the start: like q over sqrt(head_dim), so that r k begins as large as the logits; unit: like q, as in the paper's layer; zero: softmax attention" choice:"scaled|unit|zero" before:"unit"`
	TiedHead   bool    `toml:"tied_head" doc:"the output head is the embedding"`
	RoPETheta  float64 `toml:"rope_theta" doc:"base of the rotary frequencies"`
	NormEps    float64 `toml:"norm_eps" doc:"added to the mean square in RMSNorm"`
	InitStd    float64 `toml:"init_std" doc:"standard deviation of the initial weights"`
}

// Optimizer chooses and tunes the update. LR to PerHead are Muon's, for the
// hidden matrices; AdamLR to AdamWeightDecay are AdamW's, for embeddings, head
// and norms, or for everything.
type Optimizer struct {
	Name            string  `toml:"name" doc:"muon (and AdamW for what is no hidden matrix), or adamw for everything" choice:"muon|adamw"`
	LR              float64 `toml:"lr" doc:"Muon's learning rate"`
	Momentum        float64 `toml:"momentum" doc:"Muon's"`
	Nesterov        bool    `toml:"nesterov" doc:"Muon looks ahead by Nesterov's rule"`
	Coefficients    string  `toml:"coefficients" doc:"polynomials of the five Newton-Schulz steps" choice:"quintic|polar-express"`
	Scale           string  `toml:"scale" doc:"of Muon's update: sqrt(max(1, rows/cols)), or 0.2 sqrt(max(rows, cols))" choice:"spectral|rms"`
	WeightDecay     float64 `toml:"weight_decay" doc:"Muon's, decoupled"`
	PerHead         bool    `toml:"per_head" doc:"orthogonalise q, r, k and v head by head"`
	AdamLR          float64 `toml:"adam_lr" doc:"AdamW's learning rate"`
	Beta1           float64 `toml:"beta1" doc:"AdamW's decay of the first moment"`
	Beta2           float64 `toml:"beta2" doc:"AdamW's decay of the second moment"`
	AdamEps         float64 `toml:"adam_eps" doc:"AdamW's divisor is never below it"`
	AdamWeightDecay float64 `toml:"adam_weight_decay" doc:"AdamW's, decoupled"`
	ClipNorm        float64 `toml:"clip_norm" doc:"largest global norm of the gradient; 0: no clipping"`
}

// Schedule scales both learning rates over the run.
type Schedule struct {
	Name       string  `toml:"name" doc:"shape after the warm-up; wsd: stable, then a linear fall" choice:"cosine|wsd|constant"`
	Warmup     int     `toml:"warmup" doc:"steps from 0 to the full rate"`
	Decay      float64 `toml:"decay" doc:"share of the run, at its end, in which wsd falls"`
	FinalScale float64 `toml:"final_scale" doc:"share of the full rate left at the end"`
}

// Data says what is trained on.
type Data struct {
	Path       string  `toml:"path" doc:"file or folder of text, or a token file; empty: the source tree of the Go installation"`
	Task       string  `toml:"task" doc:"synthetic task to train on in place of text; its problems are drawn from the seed" choice:"none|associative-recall|noisy-recall|selective-copying|in-context-regression|permutation-state" before:"none"`
	Tokenizer  string  `toml:"tokenizer" doc:"for text; a token file brings its own ids" choice:"bytes|gpt2|cl100k|o200k"`
	Validation float64 `toml:"validation" doc:"share of the sequences held out; 0: none, and no evaluation"`
	Documents  bool    `toml:"documents" doc:"attention does not cross the boundary between two documents"`
}

// Train is the size and length of the run. A step trains on
// Slots * MicroBatch * SeqLen tokens, however many nodes share them.
type Train struct {
	Steps      int    `toml:"steps" doc:"optimizer steps"`
	SeqLen     int    `toml:"seq_len" doc:"tokens in a sequence"`
	MicroBatch int    `toml:"micro_batch" doc:"sequences that a node computes at a time"`
	Slots      int    `toml:"slots" doc:"micro-batches in a step, dealt out to the nodes"`
	Reduction  string `toml:"reduction" doc:"how gradients are summed over the nodes; sum-exact: to the same bits on any number of them" choice:"sum-f32|sum-bf16|sum-exact"`
	Recompute  string `toml:"recompute" doc:"what backward computes again to save memory; layer: all but a layer's input, for the same bits in up to a third more time" choice:"none|layer" before:"none"`
}

// Eval is how often, and on how much, the validation loss is measured.
type Eval struct {
	Every   int `toml:"every" doc:"steps between evaluations; 0: only at the end"`
	Batches int `toml:"batches" doc:"micro-batches in an evaluation"`
}

// Checkpoint is how often state is saved.
type Checkpoint struct {
	Every int `toml:"every" doc:"steps between checkpoints; 0: only at the end"`
	Keep  int `toml:"keep" doc:"how many of the last are kept"`
}

// Diagnostics is how often each layer is looked into. What is trained does not
// depend on it.
type Diagnostics struct {
	Every int `toml:"every" doc:"steps between looks into the layers, and one at the end; 0: none" before:"0"`
}
