// Package compare answers whether Parallax is better, by how much, at the same
// tokens, the same model FLOPs and the same seconds.
//
// It is pure: it derives what is to be trained, and judges what was recorded.
//
//	spec --Derive--> arms --Runs--> specs to train    (a command trains them)
//	recorded steps and evaluations --NewCurve--> curves --Judge--> Report
//
// # How the judgement is made
//
// Every arm is trained with the same seeds, and a seed fixes the samples of every
// step. A run's curve says what its loss was after how many tokens, FLOPs and
// seconds (of training: evaluations and start-up do not count). Along each axis
// all curves are read, by linear interpolation, at the largest budget that all of
// them have reached.
//
// Differences are taken seed by seed, because runs of one seed have seen the same
// samples, which removes what samples alone do to the loss. A difference counts
// when its 95 % confidence interval, by Student's t over the seeds, leaves out
// zero; otherwise the verdict is that there is none beyond the spread.
//
// # Where next
//
// arm.go derives the arms, curve.go reads them, statistics.go counts, report.go
// puts it together and verdict.go says it in sentences.
package compare
