package model

import "encoding/json"

// HFConfig is the contents of the config.json that goes beside a checkpoint's
// tensors for Hugging Face's transformers. maxSeqLen is the longest sequence
// trained on.
//
// A softmax model is a Qwen3ForCausalLM with qk_norm, and a MistralForCausalLM
// without (the same parameter names; a sliding window is allowed). No class of
// transformers computes Parallax attention: such a model is described by the same
// keys under a type of its own, which transformers refuses.
func HFConfig(c Config, maxSeqLen int) map[string]any {
	h := map[string]any{
		"vocab_size":              c.Vocabulary,
		"hidden_size":             c.Width,
		"intermediate_size":       c.FFN,
		"num_hidden_layers":       c.Layers,
		"num_attention_heads":     c.QHeads,
		"num_key_value_heads":     c.KVHeads,
		"head_dim":                c.HeadDim,
		"hidden_act":              "silu",
		"attention_bias":          false,
		"attention_dropout":       0.0,
		"initializer_range":       c.InitStd,
		"max_position_embeddings": maxSeqLen,
		"rms_norm_eps":            c.NormEps,
		"rope_theta":              c.RoPETheta,
		"tie_word_embeddings":     c.TiedHead,
		"torch_dtype":             "float32",
		"use_cache":               true,
		"sliding_window":          nil,
		"bos_token_id":            nil,
		"eos_token_id":            nil,
	}
	if c.Window > 0 {
		h["sliding_window"] = c.Window
	}
	c.nameArchitecture(h)
	return h
}

func (c Config) nameArchitecture(h map[string]any) {
	name := func(class, modelType string) {
		h["architectures"], h["model_type"] = []string{class}, modelType
	}
	switch {
	case c.Mixer != SoftmaxAttention:
		name("ParallaxForCausalLM", "parallax")
		h["mixer"], h["qk_norm"] = c.Mixer.String(), c.QKNorm
	case c.QKNorm:
		name("Qwen3ForCausalLM", "qwen3")
		h["use_sliding_window"] = c.Window > 0
		h["max_window_layers"] = 0 // the first layer that has the window
	default:
		name("MistralForCausalLM", "mistral")
	}
}

// HFConfigJSON is [HFConfig] as a file's contents.
func HFConfigJSON(c Config, maxSeqLen int) ([]byte, error) {
	text, err := json.MarshalIndent(HFConfig(c, maxSeqLen), "", "  ")
	if err != nil {
		return nil, err
	}
	return append(text, '\n'), nil
}
