//! The tools with which a model writes, changes and recalls memories.

use std::sync::Arc;

use atomr_agents_core::{CallCtx, EffectClass, Value};
use atomr_agents_tool::{Rich, RichReturn, RichTool, Tool, ToolDescriptor, ToolError};
use serde::{Deserialize, Serialize};
use serde_json::json;

use crate::{By, LongStore, Namespace, NewItem, Search, Whose};

/// The most memories that one recall gives.
const MOST: usize = 20;

/// What the three tools work with: a store, and whose memory it is. The model can say neither.
#[derive(Clone, Debug)]
pub struct MemoryTools {
    store: Arc<dyn LongStore>,
    whose: Arc<dyn Whose>,
    by: By,
}

impl MemoryTools {
    /// Tools for this store, in the namespace that `whose` says for each call.
    #[must_use]
    pub fn new(store: Arc<dyn LongStore>, whose: impl Whose) -> Self {
        Self { store, whose: Arc::new(whose), by: By::Best }
    }

    /// Recalled by comparing so.
    #[must_use]
    pub fn by(mut self, by: By) -> Self {
        self.by = by;
        self
    }

    /// `write_memory`: keeps a text, under a key that the model may name.
    #[must_use]
    pub fn write(&self) -> Arc<dyn Tool> {
        Arc::new(Rich::new(Write(self.clone())))
    }

    /// `update_memory`: replaces the text of a key, and tells what it was.
    #[must_use]
    pub fn update(&self) -> Arc<dyn Tool> {
        Arc::new(Rich::new(Update(self.clone())))
    }

    /// `recall_memory`: the memories that fit a query best.
    #[must_use]
    pub fn recall(&self) -> Arc<dyn Tool> {
        Arc::new(Rich::new(Recall(self.clone())))
    }

    async fn namespace(&self, ctx: &CallCtx) -> Result<Namespace, ToolError> {
        Ok(self.whose.namespace(ctx).await?)
    }
}

/// The three tools: `write_memory`, `update_memory` and `recall_memory`.
///
/// ```
/// use std::sync::Arc;
/// use atomr_agents_core::CallCtx;
/// use atomr_agents_memory::{Fixed, LongOptions, LongStore, Namespace, StoredLong, memory_tools};
/// use atomr_agents_tool::Toolbox;
/// use serde_json::json;
///
/// # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let (store, ada) = (Arc::new(StoredLong::in_memory(LongOptions::default())), Namespace::new(["users", "ada"])?);
/// let tools = Toolbox::new(memory_tools(store.clone(), Fixed(ada.clone())))?;
/// let names: Vec<String> = tools.specs().iter().map(|spec| spec.name.clone()).collect();
/// assert_eq!(names, ["write_memory", "update_memory", "recall_memory"]);
/// # Ok(()) }
/// ```
#[must_use]
pub fn memory_tools(store: Arc<dyn LongStore>, whose: impl Whose) -> [Arc<dyn Tool>; 3] {
    let tools = MemoryTools::new(store, whose);
    [tools.write(), tools.update(), tools.recall()]
}

/// The key of a text that was given none: the same text has the same, so writing it twice is writing it once.
fn key_of(text: &str) -> String {
    uuid::Uuid::new_v5(&uuid::Uuid::NAMESPACE_OID, text.as_bytes()).to_string()
}

fn value(text: &str) -> Value {
    json!({"text": text})
}

struct Write(MemoryTools);

#[derive(Deserialize)]
struct WriteArgs {
    text: String,
    #[serde(default)]
    key: Option<String>,
}

#[derive(Serialize)]
struct Written {
    key: String,
}

impl RichTool for Write {
    type Args = WriteArgs;
    type Output = Written;

    fn descriptor(&self) -> ToolDescriptor {
        let schema = json!({
            "type": "object",
            "properties": {
                "text": {"type": "string", "minLength": 1, "description": "What to remember, in words that stand for themselves."},
                "key": {"type": "string", "minLength": 1, "maxLength": 100,
                    "description": "A short name for it, such as home_city. A memory of the same name is replaced."},
            },
            "required": ["text"],
            "additionalProperties": false,
        });
        ToolDescriptor::new("write_memory", "Remembers something for later conversations.", schema)
            .with_effect(EffectClass::Idempotent)
    }

    async fn invoke_rich(&self, args: WriteArgs, ctx: CallCtx) -> Result<RichReturn<Written>, ToolError> {
        let key = args.key.unwrap_or_else(|| key_of(&args.text));
        let item = NewItem::new(self.0.namespace(&ctx).await?, key.clone(), value(&args.text));
        self.0.store.put(item, &ctx).await?;
        Ok(Written { key }.into())
    }
}

struct Update(MemoryTools);

#[derive(Deserialize)]
struct UpdateArgs {
    key: String,
    text: String,
}

#[derive(Serialize)]
struct Updated {
    previous: String,
}

impl RichTool for Update {
    type Args = UpdateArgs;
    type Output = Updated;

    fn descriptor(&self) -> ToolDescriptor {
        let schema = json!({
            "type": "object",
            "properties": {
                "key": {"type": "string", "minLength": 1, "description": "The name of the memory, as it was written or recalled."},
                "text": {"type": "string", "minLength": 1, "description": "What it shall say from now on."},
            },
            "required": ["key", "text"],
            "additionalProperties": false,
        });
        ToolDescriptor::new("update_memory", "Changes what is remembered under a name, and tells what it was.", schema)
            .with_effect(EffectClass::Idempotent)
    }

    async fn invoke_rich(&self, args: UpdateArgs, ctx: CallCtx) -> Result<RichReturn<Updated>, ToolError> {
        let item = NewItem::new(self.0.namespace(&ctx).await?, args.key.clone(), value(&args.text));
        match self.0.store.update(item, &ctx).await? {
            Some(old) => Ok(Updated { previous: old.text() }.into()),
            None => {
                let message = format!("there is no memory {:?}: recall_memory finds those there are", args.key);
                Err(ToolError::Failed { message, source: None })
            }
        }
    }
}

struct Recall(MemoryTools);

#[derive(Deserialize)]
struct RecallArgs {
    query: String,
    #[serde(default)]
    top_k: Option<usize>,
}

#[derive(Serialize)]
struct Recalled {
    key: String,
    text: String,
}

impl RichTool for Recall {
    type Args = RecallArgs;
    type Output = Vec<Recalled>;

    fn descriptor(&self) -> ToolDescriptor {
        let schema = json!({
            "type": "object",
            "properties": {
                "query": {"type": "string", "minLength": 1, "description": "What to look for, in words."},
                "top_k": {"type": "integer", "minimum": 1, "maximum": MOST, "description": "How many at most; 5 if nothing is said."},
            },
            "required": ["query"],
            "additionalProperties": false,
        });
        ToolDescriptor::new("recall_memory", "Finds what was remembered that fits a query best.", schema)
            .with_effect(EffectClass::None)
    }

    async fn invoke_rich(&self, args: RecallArgs, ctx: CallCtx) -> Result<RichReturn<Vec<Recalled>>, ToolError> {
        let search = Search::below(self.0.namespace(&ctx).await?)
            .query(args.query)
            .by(self.0.by)
            .top_k(args.top_k.unwrap_or(5).min(MOST));
        let found = self.0.store.search(&search, &ctx).await?;
        let told = |item: crate::StoreItem| Recalled { text: item.text(), key: item.key };
        Ok(found.into_iter().map(told).collect::<Vec<_>>().into())
    }
}
