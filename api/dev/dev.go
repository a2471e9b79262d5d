// Package dev is what a development service has in place of the world: a
// drawer of virtual cards instead of readers, and the desk agent in process.
//
// Nothing in it is reachable in production: only `lanyard dev` makes one.
package dev
