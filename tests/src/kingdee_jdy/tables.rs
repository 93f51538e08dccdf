//! Materials, stocks and units: what a bill refers to by internal id.

use serde_json::{Map, Value, json};

use crate::world::{GOODS, UNITS, WAREHOUSES};

/// Enough that no list fits on one page.
const FILLERS: usize = 130;
const MATERIAL_IDS: u64 = 1_203_311_870_000_000_001;
const STOCK_IDS: u64 = 1_203_311_870_000_100_001;
const UNIT_IDS: u64 = 1_203_311_870_000_200_001;

#[derive(Debug)]
pub struct Tables {
    materials: Vec<Entry>,
    stocks: Vec<Entry>,
    units: Vec<Entry>,
}

#[derive(Debug, Clone)]
pub struct Entry {
    pub id: String,
    pub number: String,
    pub name: String,
    /// Of a material.
    unit_id: Option<String>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Table {
    Material,
    Stock,
    Unit,
}

impl Table {
    pub fn named(name: &str) -> Option<Self> {
        match name {
            "material" => Some(Self::Material),
            "stock" => Some(Self::Stock),
            "unit" => Some(Self::Unit),
            _ => None,
        }
    }

    fn first_id(self) -> u64 {
        match self {
            Self::Material => MATERIAL_IDS,
            Self::Stock => STOCK_IDS,
            Self::Unit => UNIT_IDS,
        }
    }
}

impl Default for Tables {
    fn default() -> Self {
        let mut tables = Self::empty();
        for (position, name) in UNITS.iter().enumerate() {
            tables.add(Table::Unit, &format!("DW{:04}", position + 1), name);
        }
        for (number, name) in WAREHOUSES {
            tables.add(Table::Stock, number, name);
        }
        for position in 0..FILLERS {
            tables.add(Table::Material, &format!("OLD-{position:04}"), &format!("停产商品{position}"));
        }
        // Behind the others: who reads one page only does not find them.
        for (number, name, unit) in GOODS {
            tables.add(Table::Material, number, name);
            let unit_id = tables.units.iter().find(|known| known.name == *unit).map(|known| known.id.clone());
            if let Some(material) = tables.materials.last_mut() {
                material.unit_id = unit_id;
            }
        }
        tables
    }
}

impl Tables {
    pub fn empty() -> Self {
        Self { materials: Vec::new(), stocks: Vec::new(), units: Vec::new() }
    }

    /// Somebody adds an entry in front of all others, which move on by one.
    pub fn add_first(&mut self, table: Table) {
        let count = self.list(table).len();
        self.add(table, &format!("AAA-{count}"), &format!("新增{count}"));
        self.list_mut(table).rotate_right(1);
    }

    fn list_mut(&mut self, table: Table) -> &mut Vec<Entry> {
        match table {
            Table::Material => &mut self.materials,
            Table::Stock => &mut self.stocks,
            Table::Unit => &mut self.units,
        }
    }

    pub fn list(&self, table: Table) -> &[Entry] {
        match table {
            Table::Material => &self.materials,
            Table::Stock => &self.stocks,
            Table::Unit => &self.units,
        }
    }

    pub fn add(&mut self, table: Table, number: &str, name: &str) -> Value {
        let list = self.list_mut(table);
        let id = (table.first_id() + list.len() as u64).to_string();
        list.push(Entry { id, number: number.to_owned(), name: name.to_owned(), unit_id: None });
        list.last().map_or(Value::Null, |entry| entry.json(false))
    }

    pub fn has(&self, table: Table, id: &str) -> bool {
        self.list(table).iter().any(|entry| entry.id == id)
    }

    pub fn all(&self) -> Value {
        let of = |table| Value::Array(self.list(table).iter().map(|entry| entry.json(false)).collect());
        json!({"material": of(Table::Material), "stock": of(Table::Stock), "unit": of(Table::Unit)})
    }
}

impl Entry {
    pub fn json(&self, first_generation: bool) -> Value {
        let mut row = Map::new();
        row.insert("id".to_owned(), json!(self.id));
        row.insert("number".to_owned(), json!(self.number));
        row.insert("name".to_owned(), json!(self.name));
        row.insert("enable".to_owned(), json!("1"));
        if let Some(unit_id) = &self.unit_id {
            let name = if first_generation { "baseunitid_id" } else { "base_unit_id" };
            row.insert(name.to_owned(), json!(unit_id));
        }
        Value::Object(row)
    }
}
