//! A step of a dag as a node of the graph that it becomes.

use std::sync::Arc;

use atomr_agents_callable::CallableHandle;
use atomr_agents_core::{Kind, Value};
use atomr_agents_state::{EffectClass, StateView};
use futures_util::future::BoxFuture;
use futures_util::stream::{self, FuturesUnordered};
use futures_util::{StreamExt, TryStreamExt};
use serde_json::{Map, json};

use super::step::{InputMapping, JoinStrategy, Source, Step};
use crate::{Node, NodeCall, NodeCtx, NodeError, Update};

/// The channel of the run's input.
pub(super) const INPUT: &str = "$input";

/// The channel of the names of the steps that ran, in order.
pub(super) const RAN: &str = "$ran";

/// A step as a node: it reads the channels of the steps before it and writes its own, which has its name.
pub(super) struct StepNode {
    pub(super) name: Arc<str>,
    pub(super) step: Step,
    pub(super) input: InputMapping,
    /// The steps that lead here.
    pub(super) before: Vec<String>,
}

impl StepNode {
    fn input(&self, state: &StateView) -> Result<Value, NodeError> {
        match &self.input {
            InputMapping::One(source) => source.read(state),
            InputMapping::Object(fields) => {
                let each = fields.iter().map(|(name, source)| Ok((name.clone(), source.read(state)?)));
                each.collect::<Result<Map<_, _>, NodeError>>().map(Value::Object)
            }
            InputMapping::Edges => match &self.before[..] {
                [] => Ok(state.read(INPUT)?.to_value()),
                [one] => Ok(state.read(one)?.to_value()),
                several => {
                    let ran = names_of_ran(state)?;
                    let came = several.iter().filter(|name| ran.contains(name));
                    let each = came.map(|name| Ok((name.clone(), state.read(name)?.to_value())));
                    each.collect::<Result<Map<_, _>, NodeError>>().map(Value::Object)
                }
            },
        }
    }
}

impl Source {
    fn read(&self, state: &StateView) -> Result<Value, NodeError> {
        let (channel, pointer) = match self {
            Self::Value(value) => return Ok(value.clone()),
            Self::Input(pointer) => (INPUT, pointer),
            Self::Step(step, pointer) => (step.as_str(), pointer),
        };
        let whole = state.read(channel)?;
        let part = whole.as_single().and_then(|value| value.pointer(pointer));
        Ok(part.cloned().unwrap_or_default())
    }
}

/// The names of the steps that ran.
pub(super) fn names_of_ran(state: &StateView) -> Result<Vec<String>, NodeError> {
    Ok(state.get(RAN)?)
}

impl Node for StepNode {
    fn run(&self, call: NodeCall) -> BoxFuture<'_, Result<Update, NodeError>> {
        Box::pin(async move {
            let input = self.input(&call.state)?;
            let update = Update::new().write(RAN, json!([self.name]));
            if let Step::Branch { predicate, if_true, if_false } = &self.step {
                let chosen =
                    if holds(predicate, input.clone(), &call.ctx, "predicate").await? { if_true } else { if_false };
                return Ok(update.write(Arc::clone(&self.name), input).goto(chosen.as_str()));
            }
            let output = match &self.step {
                // Its answer is the answer of the node: recorded once, as that.
                Step::Invoke { callable, effect: EffectClass::None } => {
                    callable.call(input, call.ctx.call_at("invoke")).await?
                }
                step => perform(step, "", input, &call.ctx).await?,
            };
            Ok(update.write(Arc::clone(&self.name), output))
        })
    }
}

/// Does what a step inside a node says. `name` tells it apart from the others in the node.
fn perform<'a>(
    step: &'a Step,
    name: &'a str,
    input: Value,
    ctx: &'a NodeCtx,
) -> BoxFuture<'a, Result<Value, NodeError>> {
    let inner = move |part: String| if name.is_empty() { part } else { format!("{name}.{part}") };
    match step {
        Step::Invoke { callable, effect } => Box::pin(async move {
            let name = inner("invoke".to_owned());
            let work = |_| async { Ok(callable.call(input, ctx.call_at(&name)).await?) };
            ctx.effect_at(&name, *effect, work).await
        }),
        Step::Human { approval } => Box::pin(async move {
            let question = json!({"prompt": approval.prompt, "context": approval.context, "input": input});
            ctx.interrupt_at(&inner("interrupt".to_owned()), question).await
        }),
        Step::Parallel { steps, join } => Box::pin(async move {
            let names: Vec<String> = steps.iter().map(|(child, _)| inner(child.clone())).collect();
            let children = steps.iter().zip(&names).map(|((child, step), name)| {
                let work = perform(step, name, input.clone(), ctx);
                async move { work.await.map(|output| (child.as_str(), output)) }
            });
            let mut children: FuturesUnordered<_> = children.collect();
            match join {
                JoinStrategy::All => {
                    let mut came = Vec::with_capacity(steps.len());
                    while let Some(done) = children.next().await {
                        came.push(done?);
                    }
                    let in_order = steps.iter().filter_map(|(child, _)| came.iter().find(|(name, _)| name == child));
                    Ok(Value::Object(in_order.map(|(name, output)| ((*name).to_owned(), output.clone())).collect()))
                }
                JoinStrategy::Any => {
                    let mut last = NodeError::failed(Kind::Workflow, "it has nothing to do at the same time");
                    while let Some(done) = children.next().await {
                        match done {
                            Ok((_, output)) => return Ok(output),
                            Err(error) => last = error,
                        }
                    }
                    Err(last)
                }
            }
        }),
        Step::Loop { body, again, max_rounds } => Box::pin(async move {
            let mut value = input;
            for round in 0..*max_rounds {
                let name = inner(format!("round[{round}]"));
                value = perform(body, &name, value, ctx).await?;
                if !holds(again, value.clone(), ctx, &format!("{name}.again")).await? {
                    return Ok(value);
                }
            }
            Err(NodeError::failed(Kind::IterationCap, format!("it went round {max_rounds} times without an end")))
        }),
        Step::Map { body, concurrency } => Box::pin(async move {
            let Value::Array(items) = input else {
                let message = "a map works on the items of a list, and was given something else";
                return Err(NodeError::Contract { message: message.to_owned() });
            };
            let names = (0..items.len()).map(|at| inner(format!("item[{at}]")));
            let work =
                items.into_iter().zip(names).map(|(item, name)| async move { perform(body, &name, item, ctx).await });
            stream::iter(work).buffered(*concurrency).try_collect::<Vec<_>>().await.map(Value::Array)
        }),
        // Found before anything runs.
        Step::Branch { .. } => Box::pin(async { Ok(input) }),
    }
}

/// What a predicate answers.
async fn holds(predicate: &CallableHandle, value: Value, ctx: &NodeCtx, name: &str) -> Result<bool, NodeError> {
    match predicate.call(value, ctx.call_at(name)).await? {
        Value::Bool(holds) => Ok(holds),
        _ => {
            let message =
                format!("the predicate {:?} answers true or false, and answered something else", predicate.label());
            Err(NodeError::Contract { message })
        }
    }
}
