package record

// all are the tables of a run, the run itself first.
var all = []anyTable{runTable, rankTable, stepTable, evalTable, layerTable, rateTable, eventTable}

var runTable = table[Run]{"runs", 1, []column[Run]{
	{"id", func(r *Run) any { return &r.ID }, 1},
	{"name", func(r *Run) any { return &r.Name }, 1},
	{"dir", func(r *Run) any { return &r.Dir }, 1},
	{"spec", func(r *Run) any { return &r.Spec }, 1},
	{"spec_hash", func(r *Run) any { return &r.SpecHash }, 1},
	{"commit", func(r *Run) any { return &r.Commit }, 1},
	{"versions", func(r *Run) any { return &r.Versions }, 1},
	{"host", func(r *Run) any { return &r.Host }, 1},
	{"started", func(r *Run) any { return &r.Started }, 1},
	{"finished", func(r *Run) any { return &r.Finished }, 1},
	{"status", func(r *Run) any { return (*string)(&r.Status) }, 1},
	{"exit_code", func(r *Run) any { return &r.ExitCode }, 1},
	{"reason", func(r *Run) any { return &r.Reason }, 1},
	{"parameters", func(r *Run) any { return &r.Parameters }, 1},
	{"flops_per_token", func(r *Run) any { return &r.FLOPsPerToken }, 1},
	{"flops_per_token_6n", func(r *Run) any { return &r.FLOPsPerToken6N }, 1},
	{"data_summary", func(r *Run) any { return &r.DataSummary }, 1},
	{"data_digest", func(r *Run) any { return &r.DataDigest }, 1},
}}

var rankTable = table[Rank]{"ranks", 2, []column[Rank]{
	{"generation", func(r *Rank) any { return &r.Generation }, 1},
	{"rank", func(r *Rank) any { return &r.Rank }, 1},
	{"node", func(r *Rank) any { return &r.Node }, 1},
	{"host", func(r *Rank) any { return &r.Host }, 1},
	{"device", func(r *Rank) any { return &r.Device }, 1},
	{"slots", func(r *Rank) any { return &r.Slots }, 1},
	{"hardware", func(r *Rank) any { return &r.Hardware }, 2},
	{"peak", func(r *Rank) any { return &r.Peak }, 2},
}}

var stepTable = table[Step]{"steps", 1, []column[Step]{
	{"step", func(s *Step) any { return &s.Step }, 1},
	{"generation", func(s *Step) any { return &s.Generation }, 1},
	{"world", func(s *Step) any { return &s.World }, 1},
	{"loss", func(s *Step) any { return &s.Loss }, 1},
	{"grad_norm", func(s *Step) any { return &s.GradNorm }, 1},
	{"lr", func(s *Step) any { return &s.LR }, 1},
	{"tokens", func(s *Step) any { return &s.Tokens }, 1},
	{"flops", func(s *Step) any { return &s.FLOPs }, 1},
	{"flops_6n", func(s *Step) any { return &s.FLOPs6N }, 1},
	{"seconds", func(s *Step) any { return &s.Seconds }, 1},
	{"compute", func(s *Step) any { return &s.Compute }, 1},
	{"reduce", func(s *Step) any { return &s.Reduce }, 1},
	{"wait", func(s *Step) any { return &s.Wait }, 1},
	{"update", func(s *Step) any { return &s.Update }, 1},
	{"tokens_per_second", func(s *Step) any { return &s.TokensPerSecond }, 1},
	{"flops_per_second", func(s *Step) any { return &s.FLOPsPerSecond }, 1},
	{"wire_bytes", func(s *Step) any { return &s.WireBytes }, 1},
	{"time", func(s *Step) any { return &s.Time }, 1},
}}

var evalTable = table[Eval]{"evals", 1, []column[Eval]{
	{"step", func(e *Eval) any { return &e.Step }, 1},
	{"generation", func(e *Eval) any { return &e.Generation }, 1},
	{"loss", func(e *Eval) any { return &e.Loss }, 1},
	{"tokens", func(e *Eval) any { return &e.Tokens }, 1},
	{"seconds", func(e *Eval) any { return &e.Seconds }, 1},
	{"time", func(e *Eval) any { return &e.Time }, 1},
}}

var eventTable = table[Event]{"events", 1, []column[Event]{
	{"sequence", func(e *Event) any { return &e.Sequence }, 1},
	{"time", func(e *Event) any { return &e.Time }, 1},
	{"kind", func(e *Event) any { return &e.Kind }, 1},
	{"text", func(e *Event) any { return &e.Text }, 1},
	{"payload", func(e *Event) any { return &e.Payload }, 1},
}}

var layerTable = table[Layer]{"layers", 2, []column[Layer]{
	{"step", func(l *Layer) any { return &l.Step }, 1},
	{"layer", func(l *Layer) any { return &l.Layer }, 1},
	{"generation", func(l *Layer) any { return &l.Generation }, 1},
	{"correction", func(l *Layer) any { return &l.Correction }, 1},
	{"rank_q", func(l *Layer) any { return &l.RankQ }, 1},
	{"rank_r", func(l *Layer) any { return &l.RankR }, 1},
	{"rank_k", func(l *Layer) any { return &l.RankK }, 1},
	{"entropy", func(l *Layer) any { return &l.Entropy }, 1},
	{"first_token", func(l *Layer) any { return &l.FirstToken }, 1},
	{"time", func(l *Layer) any { return &l.Time }, 1},
}}

var rateTable = table[Rate]{"rates", 2, []column[Rate]{
	{"step", func(r *Rate) any { return &r.Step }, 1},
	{"rank", func(r *Rate) any { return &r.Rank }, 1},
	{"generation", func(r *Rate) any { return &r.Generation }, 1},
	{"steps", func(r *Rate) any { return &r.Steps }, 1},
	{"tokens_per_second", func(r *Rate) any { return &r.TokensPerSecond }, 1},
	{"link_bytes", func(r *Rate) any { return &r.LinkBytes }, 1},
	{"send", func(r *Rate) any { return &r.Send }, 1},
	{"receive", func(r *Rate) any { return &r.Receive }, 1},
	{"time", func(r *Rate) any { return &r.Time }, 1},
}}
