// Copyright The otelauth Authors
// SPDX-License-Identifier: Apache-2.0

// Package witness is a client of transparency log witnesses (c2sp.org/tlog-witness).
//
// A witness is a server of another operator. It remembers the newest checkpoint of each log that
// it has seen, and cosigns the next one only if that continues the same tree. After a cosignature
// the lines of the checkpoint cannot be changed or removed unseen, also by someone who has the
// key of the trail.
//
//	w, err := witness.New(witness.Config{URL: "https://witness.example/", Key: "witness.example+a1b2c3d4+B…"})
//	t, err := trail.Open(trail.Config{Dir: dir, Key: key, Witness: w})
//
// [Client.Cosign] sends a checkpoint with the proof that it continues the last one that the
// witness has cosigned, and returns the checked cosignature. The request holds the checkpoint and
// hashes, and no line of the trail. The keys of witnesses are Ed25519; ML-DSA is not supported.
package witness
