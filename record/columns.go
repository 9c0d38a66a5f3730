package record

var runTable = table[Run]{"runs", 1, []column[Run]{
	{"id", func(r *Run) any { return &r.ID }},
	{"name", func(r *Run) any { return &r.Name }},
	{"dir", func(r *Run) any { return &r.Dir }},
	{"spec", func(r *Run) any { return &r.Spec }},
	{"spec_hash", func(r *Run) any { return &r.SpecHash }},
	{"commit", func(r *Run) any { return &r.Commit }},
	{"versions", func(r *Run) any { return &r.Versions }},
	{"host", func(r *Run) any { return &r.Host }},
	{"started", func(r *Run) any { return &r.Started }},
	{"finished", func(r *Run) any { return &r.Finished }},
	{"status", func(r *Run) any { return (*string)(&r.Status) }},
	{"exit_code", func(r *Run) any { return &r.ExitCode }},
	{"reason", func(r *Run) any { return &r.Reason }},
	{"parameters", func(r *Run) any { return &r.Parameters }},
	{"flops_per_token", func(r *Run) any { return &r.FLOPsPerToken }},
	{"flops_per_token_6n", func(r *Run) any { return &r.FLOPsPerToken6N }},
	{"data_summary", func(r *Run) any { return &r.DataSummary }},
	{"data_digest", func(r *Run) any { return &r.DataDigest }},
}}

var rankTable = table[Rank]{"ranks", 2, []column[Rank]{
	{"generation", func(r *Rank) any { return &r.Generation }},
	{"rank", func(r *Rank) any { return &r.Rank }},
	{"node", func(r *Rank) any { return &r.Node }},
	{"host", func(r *Rank) any { return &r.Host }},
	{"device", func(r *Rank) any { return &r.Device }},
	{"slots", func(r *Rank) any { return &r.Slots }},
}}

var stepTable = table[Step]{"steps", 1, []column[Step]{
	{"step", func(s *Step) any { return &s.Step }},
	{"generation", func(s *Step) any { return &s.Generation }},
	{"world", func(s *Step) any { return &s.World }},
	{"loss", func(s *Step) any { return &s.Loss }},
	{"grad_norm", func(s *Step) any { return &s.GradNorm }},
	{"lr", func(s *Step) any { return &s.LR }},
	{"tokens", func(s *Step) any { return &s.Tokens }},
	{"flops", func(s *Step) any { return &s.FLOPs }},
	{"flops_6n", func(s *Step) any { return &s.FLOPs6N }},
	{"seconds", func(s *Step) any { return &s.Seconds }},
	{"compute", func(s *Step) any { return &s.Compute }},
	{"reduce", func(s *Step) any { return &s.Reduce }},
	{"wait", func(s *Step) any { return &s.Wait }},
	{"update", func(s *Step) any { return &s.Update }},
	{"tokens_per_second", func(s *Step) any { return &s.TokensPerSecond }},
	{"flops_per_second", func(s *Step) any { return &s.FLOPsPerSecond }},
	{"wire_bytes", func(s *Step) any { return &s.WireBytes }},
	{"time", func(s *Step) any { return &s.Time }},
}}

var evalTable = table[Eval]{"evals", 1, []column[Eval]{
	{"step", func(e *Eval) any { return &e.Step }},
	{"generation", func(e *Eval) any { return &e.Generation }},
	{"loss", func(e *Eval) any { return &e.Loss }},
	{"tokens", func(e *Eval) any { return &e.Tokens }},
	{"seconds", func(e *Eval) any { return &e.Seconds }},
	{"time", func(e *Eval) any { return &e.Time }},
}}

var eventTable = table[Event]{"events", 1, []column[Event]{
	{"sequence", func(e *Event) any { return &e.Sequence }},
	{"time", func(e *Event) any { return &e.Time }},
	{"kind", func(e *Event) any { return &e.Kind }},
	{"text", func(e *Event) any { return &e.Text }},
	{"payload", func(e *Event) any { return &e.Payload }},
}}
