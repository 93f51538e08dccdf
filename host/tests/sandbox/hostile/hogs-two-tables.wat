;; Two tables, each of which would fit.
;; ends: refused guest_table_exhausted table_elements_limit
;; === items
(table 15000 funcref) (table 15000 funcref)
