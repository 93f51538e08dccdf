;; Is the text of a component, for a host that would assemble it.
;; ends: refused module_refused
;; says: not a WebAssembly binary
;; === text
(component)
