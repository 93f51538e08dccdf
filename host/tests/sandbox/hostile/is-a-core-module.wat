;; Is a core module and no component.
;; ends: refused module_refused
;; says: core module
;; === module
(module)
