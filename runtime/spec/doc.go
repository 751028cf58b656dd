// Package spec makes and changes OCI runtime specs: the rungs of the ladder, and the edits that
// take one barrier away.
//
// It only ever computes; it touches no file and no kernel. The types are those of the OCI
// runtime-spec, so that every OCI runtime understands what it makes.
package spec
