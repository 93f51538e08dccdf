;; Declares a table of a million elements.
;; ends: refused module_refused
;; says: does not fit into a slot
;; === items
(table 1000000 funcref)
