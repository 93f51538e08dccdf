;; Is a component without anything in it.
;; ends: refused module_refused
;; says: does not fit the contract
;; === component
(component)
