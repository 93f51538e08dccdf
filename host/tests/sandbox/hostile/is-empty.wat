;; Is an empty file.
;; ends: refused module_refused
;; says: not a WebAssembly binary
;; cut: 0
;; === text
(nothing)
